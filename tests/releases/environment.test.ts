import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { commandLinesDuring, isProgram, seenDuring } from "../support/processes";
import { leftovers, type Outcome, TestStack } from "../support/stack";

const SECRET = "hunter2 'and'\na second line";

const SETTINGS = {
  "frontend.route": "/",
  "backend.volumes.data": "/data",
  "backend.releaseCommand":
    'echo "migrating to $(cat /app/COMMIT) with $TOKEN, $(grep -c " /data " /proc/mounts) volume"; test -e src/MIGRATES',
};

/** One story: a service with a secret, a volume and a command of its own for each release. */
describe("a service's environment", () => {
  let app: TestApp;
  let stack: TestStack;
  let said = "";

  const up = async (): Promise<Outcome> => {
    const outcome = await stack.up();
    said += outcome.said;
    return outcome;
  };
  const good = async () => {
    const done = await up();
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const served = async () => (await fetch(`${stack.url}/.freshness/backend`)).json();

  beforeAll(async () => {
    app = await TestApp.create();
    const dockerfile = app.read("backend/Dockerfile").replace("USER 10001", "WORKDIR /app\nUSER 10001");
    await app.commit({ "backend/Dockerfile": dockerfile, "backend/MIGRATES": "yes\n" });
    stack = await TestStack.create({ source: app.folder });
    for (const [path, value] of Object.entries(SETTINGS))
      await stack.configurePath(`services.${path}`, value);
    await stack.configurePath("services.backend.secretEnv.TOKEN", SECRET, true);
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  it("is passed to the release command, which runs once before the container starts", async () => {
    const { said } = await good();
    expect(said).toMatch(/releaseCommand of backend: done in [\d.]+ s/);
    expect((await good()).said).not.toContain("releaseCommand");
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
    const up = good();
    const [{ said }, seen, exposed] = await Promise.all([
      up,
      commandLinesDuring(up),
      seenDuring(up, "hunter2"),
    ]);
    // The docker command hands the release's command its variables, and takes them from its own.
    const isReleaseCommand = (each: string) =>
      /^environment of docker run .*watch-party\.service=backend-release/.test(each);
    expect(exposed.filter((each) => !isProgram(each) && !isReleaseCommand(each))).toEqual([]);
    expect(exposed.some(isProgram)).toBe(true);
    expect(said).toMatch(/releaseCommand of backend: done/);
    expect(await served()).toEqual({ commit });
    expect(seen.some((line) => line.includes("docker"))).toBe(true);
    expect(seen.filter((line) => line.includes("hunter2"))).toEqual([]);
    const back = await stack.command("rollback");
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
    for (const text of [...told, said, stack.state(), ...ownFiles(stack.folder)])
      expect(text).not.toContain("hunter2");
  });

  it("hides the files of a deploy from other users of the machine", () => {
    const certificate = join(stack.folder, ".work", stack.name, "certificate.json");
    expect(statSync(join(stack.folder, ".work")).mode & 0o777).toBe(0o700);
    expect(statSync(certificate).mode & 0o777).toBe(0o600);
  });

  it("leaves nothing behind", async () => {
    expect((await stack.remove()).ok).toBe(true);
    expect(await leftovers(stack.name)).toEqual([]);
  });
});

/** What the stack has written in its folder. */
function ownFiles(folder: string): string[] {
  return [".work", ".state"].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8")),
  );
}
