import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { exposedDuring, isProgram } from "../support/processes";
import { SshServer } from "../support/sshd";
import { leftovers, type Outcome, TestStack } from "../support/stack";

const SECRET = "hunter2 'and'\na second line";
const BUILD_SECRET = "swordfish of the build";
const PASSPHRASE = "correct horse of this stack";

const PARTS = { TOKEN: "hunter2", "build secret": "swordfish", passphrase: "correct horse" };

const SETTINGS = {
  "frontend.route": "/",
  "backend.volumes.data": "/data",
  "backend.releaseCommand":
    'echo "migrating to $(cat /app/COMMIT) with $TOKEN, $(grep -c " /data " /proc/mounts) volume"; test -e src/MIGRATES',
};

/** One story: a service with a secret, a volume and a command of its own for each release. */
describe.each(FULL ? ["local engine", "server"] : ["local engine"])(
  "a service's environment, on a %s",
  (where) => {
    let server: SshServer | undefined;
    let app: TestApp;
    let stack: TestStack;
    let said = "";
    /** A part of each secret that nothing else has. */
    let parts: Readonly<Record<string, string>> = PARTS;
    /** Where each secret was seen in the whole life of the stack. */
    const exposed = new Set<string>();

    const watched = async <T>(work: Promise<T>): Promise<T> => {
      const seen = exposedDuring(work, parts);
      const [outcome] = await Promise.allSettled([work, seen]);
      for (const each of await seen) exposed.add(each);
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    };
    const up = async (): Promise<Outcome> => {
      const outcome = await watched(stack.up());
      said += outcome.said;
      return outcome;
    };
    const good = async () => {
      const done = await up();
      if (!done.ok) throw new Error(done.said);
      return done;
    };
    const importToken = async (value: string) => {
      const file = join(stack.folder, "imported.env");
      writeFileSync(file, `TOKEN="${value}"\n`);
      const done = await watched(stack.command("secrets", "import", file, "--service", "backend"));
      rmSync(file);
      expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: "" });
      expect(done.stdout).toContain("watch-party:services.backend.secretEnv.TOKEN: set");
      said += done.stdout;
    };
    const served = async () => (await fetch(`${stack.url}/.freshness/backend`)).json();

    beforeAll(async () => {
      app = await TestApp.create();
      const dockerfile = app
        .read("backend/Dockerfile")
        .replace(
          "COPY . .",
          "COPY . .\nRUN --mount=type=secret,id=token grep -q of.the.build /run/secrets/token",
        )
        .replace("USER 10001", "WORKDIR /app\nUSER 10001");
      await app.commit({ "backend/Dockerfile": dockerfile, "backend/MIGRATES": "yes\n" });
      const settings: Record<string, unknown> = { source: app.folder };
      if (where === "server") {
        server = await SshServer.start();
        const { port, user, hostKey, key } = server;
        settings.server = { host: "127.0.0.1", port, user, hostKey };
        parts = { ...PARTS, "server's key": key.split("\n")[2] ?? "" };
      }
      stack = await TestStack.create(settings, { PULUMI_CONFIG_PASSPHRASE: PASSPHRASE });
      if (server) await stack.configure({ serverKey: server.key }, true);
      for (const [path, value] of Object.entries(SETTINGS))
        await stack.configurePath(`services.${path}`, value);
      await importToken("hunter2 before");
      await stack.configurePath("services.backend.buildSecrets.token", BUILD_SECRET, true);
    });
    afterAll(async () => {
      await stack?.remove();
      await server?.remove();
      app?.remove();
    });

    it("is passed to the release command, which runs once before the container starts", async () => {
      const { said } = await good();
      expect(said).toMatch(/releaseCommand of backend: done in [\d.]+ s/);
      expect((await good()).said).not.toContain("releaseCommand");
    });

    it("is imported from a file, and a changed one replaces the release's containers and nothing else", async () => {
      await importToken(SECRET);
      const { changes } = await good();
      expect(Object.keys(changes).sort()).toEqual(["Container backend", "Container frontend"]);
    });

    it("stops the deploy if that command fails, with its output and without the secret", async () => {
      const before = await served();
      const commit = await app.commit({ "backend/MIGRATES": null });
      const { ok, said } = await up();
      expect(said).toContain("releaseCommand of backend: sh -c ");
      expect(said).toContain(`migrating to ${commit} with [secret], 1 volume`);
      expect(ok).toBe(false);
      expect(await served()).toEqual(before);
    });

    it("works with the next commit, and the command does not run in a rollback", async () => {
      const commit = await app.commit({ "backend/MIGRATES": "again\n" });
      const { said } = await good();
      expect(said).toMatch(/releaseCommand of backend: done/);
      expect(await served()).toEqual({ commit });
      const back = await watched(stack.command("rollback"));
      expect(back.status).toBe(0);
      expect(back.stdout).not.toContain("releaseCommand");
    });

    it("is passed to the container, and is in no log, state, certificate, image or history", async () => {
      const container = await stack.container("backend");
      const { stdout } = await execa("docker", ["exec", container, "printenv", "TOKEN"]);
      expect(stdout).toBe(SECRET);
      const { images } = (await stack.outputs()) as { images: { backend: string } };
      const told = await Promise.all(
        [
          ["image", "inspect", images.backend],
          ["history", "--no-trunc", images.backend],
        ].map(async (args) => (await execa("docker", args)).stdout),
      );
      const files = ["cat", "/edge/releases.json"];
      told.push((await execa("docker", ["exec", await stack.container("edge"), ...files])).stdout);
      const all = [...told, said, stack.state(), ...ownFiles(stack.folder)];
      for (const [name, part] of Object.entries(parts))
        expect(
          all.flatMap((text) => (text.includes(part) ? `${name} in ${text.slice(0, 300)}` : [])),
        ).toEqual([]);
      // The engine keeps a container's variables in plain text, and no other secret.
      const inspected = await execa("docker", ["inspect", container, await stack.container("edge")]);
      for (const part of [PARTS["build secret"], PARTS.passphrase])
        expect(inspected.stdout).not.toContain(part);
    });

    it("hides the files of a deploy from other users of the machine", () => {
      const work = join(stack.folder, ".work");
      const certificate = join(work, stack.name, "certificate.json");
      expect(statSync(work).mode & 0o777).toBe(0o700);
      expect(statSync(join(work, stack.name)).mode & 0o777).toBe(0o700);
      expect(statSync(certificate).mode & 0o777).toBe(0o600);
    });

    it("leaves nothing behind", async () => {
      // By the command, which opens the way to a server.
      const destroyed = await watched(stack.command("pulumi", "destroy", "--yes"));
      expect([destroyed.status, destroyed.stderr]).toEqual([0, expect.anything()]);
      await stack.remove();
      for (const part of Object.values(parts))
        expect(`${destroyed.stdout}${destroyed.stderr}`).not.toContain(part);
      expect(await leftovers(stack.name)).toEqual([]);
    });

    it("is in no environment and no command line that is not named, for any secret", () => {
      const seen = [...exposed];
      const withProgram = seen.filter((each) => isProgram(each.replace(/^.*?(?=environment of )/, "")));
      const NAMED: readonly RegExp[] = [
        // The docker commands take the values that they hand on from their environment.
        /^TOKEN environment of docker run .*watch-party\.service=backend-release/,
        /^build secret environment of docker build /,
        // The CLI needs the passphrase. It hands its environment to what it starts, and the command plugin to the prune.
        /^passphrase environment of (\S*\/)?(pulumi|pulumi-language-nodejs|node|env node|sh|bash|\S*pulumi-resource-\w+)( |$)/,
        /^passphrase environment of docker (builder prune|info|image ls|container ls|network) /,
        // The official docker plugin reaches a server by an ssh that it starts.
        /^passphrase environment of ssh -l /,
        // What the prune's own script starts beside docker.
        /^passphrase environment of (tail|head|date|grep|sed|cat|tr|sleep|timeout)( |$)/,
        // It begins to run.
        / environment of $/,
      ];
      const unnamed = seen.filter(
        (each) => !withProgram.includes(each) && !NAMED.some((named) => named.test(each)),
      );
      expect(unnamed).toEqual([]);
      // The sampler sees what there is to see.
      expect(withProgram.some((each) => each.startsWith("TOKEN"))).toBe(true);
      expect(seen.some((each) => each.startsWith("passphrase environment of pulumi"))).toBe(true);
    });
  },
);

/** What the stack has written in its folder. */
function ownFiles(folder: string): string[] {
  return [".work", ".state"].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8")),
  );
}
