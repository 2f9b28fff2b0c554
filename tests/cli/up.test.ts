import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { leftovers } from "../support/stack";
import { Clone, type Said, toolchainWithDocker } from "./clone";

interface Preview {
  readonly steps: readonly { readonly op: string; readonly urn: string }[];
}

/** One story on a real engine, by the project's own commands: each step begins where the one before it ended. */
describe("the commands of the project", () => {
  let clone: Clone;
  let app: TestApp;
  let folder: string;
  let stack: string;
  let url: string;
  let commit: string;

  beforeAll(async () => {
    clone = await Clone.create();
    app = await TestApp.create();
    folder = mkdtempSync(join(tmpdir(), "watch-party-cli-"));
    stack = basename(app.folder).toLowerCase();
    commit = await app.git("rev-parse", "HEAD");
  });
  afterAll(async () => {
    await clone?.remove([stack]);
    app?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const served = () =>
    Promise.all(
      ["frontend", "backend"].map(async (name) => {
        const response = await fetch(`${url}/.freshness/${name}`);
        return ((await response.json()) as { commit: string }).commit;
      }),
    );
  /** The deploy failed before anything was touched: the state, the containers and what they serve are as they were. */
  const failsUntouched = async (command: () => Promise<Said>) => {
    const before = [clone.resources(stack), await leftovers(stack), await served()];
    const said = await command();
    expect(said.status).toBe(1);
    expect(said.stdout + said.stderr).not.toContain("Pruning");
    expect([clone.resources(stack), await leftovers(stack), await served()]).toEqual(before);
    return said;
  };

  it("deploy another checkout in a stack named after its folder, and print only the certificate as JSON", async () => {
    const args = ["--source", app.folder, "--json", "--verbose"];
    const { stdout, stderr } = await clone.good(clone.npm("up", args));
    const certificate = JSON.parse(stdout);
    expect(certificate).toMatchObject({ schema: "watch-party/certificate/1", stack, commit });
    expect(certificate.versions).toMatchObject({
      pulumi: "3.259.0",
      plugins: { docker: "5.2.0", command: "1.2.1" },
    });
    expect(certificate.versions.engine).toMatch(/^\d+\./);
    expect(certificate.links).toContainEqual(
      expect.objectContaining({ link: "served", service: "backend", status: "proven" }),
    );
    expect(stderr).toContain("Pruning Docker build cache…");
    // Of Pulumi and of BuildKit, as --verbose asks for.
    expect(stderr).toMatch(/docker:index:Image backend creating .*\[builder /);
    url = certificate.url;
    expect(await served()).toEqual([commit, commit]);
    expect(await clone.changed()).toEqual([`?? Pulumi.${stack}.yaml`]);
  });

  it("change nothing the second time, and print the chain and the address", async () => {
    const before = clone.resources(stack);
    const { stdout } = await clone.good(clone.npm("up", ["--source", app.folder]));
    expect(stdout).toMatch(/Resources:\s+\d+ unchanged\n\s*\n/);
    expect(stdout).toMatch(/^served +backend +proven +commit /m);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(`${url} serves ${commit}`);
    // Nothing new is served.
    expect(stdout).toMatch(/; in all \d+\.\d s$/m);
    expect(stdout).not.toMatch(/docker:index|Outputs:/);
    expect(clone.resources(stack)).toEqual(before);
  });

  it("preview as JSON without contacting an engine: no change for the same commit, both images for a new one", async () => {
    const asked = join(folder, "asked");
    const { toolchain, path } = toolchainWithDocker(
      mkdtempSync(join(folder, "none-")),
      `echo "$*" >> '${asked}'; exit 1`,
    );
    const preview = async (): Promise<Record<string, string>> => {
      const env = { WATCH_PARTY_TOOLCHAIN: toolchain, PATH: path };
      const { stdout } = await clone.good(clone.npm("preview", ["--stack", stack, "--json"], env));
      const { steps } = JSON.parse(stdout) as Preview;
      return Object.fromEntries(steps.map(({ op, urn }) => [urn.split("::").slice(2).join(" "), op]));
    };
    expect(Object.values(await preview()).filter((op) => !["same", "read"].includes(op))).toEqual([]);

    await app.commit({ "backend/message.txt": "hello v2\n" });
    const next = await preview();
    const images = Object.keys(next).filter((name) => name.includes("image:Image"));
    // Each with the stage that it is made from.
    expect(images).toHaveLength(4);
    for (const image of images) expect(next[image]).toMatch(/replace/);
    expect(existsSync(asked)).toBe(false);
    expect(await served()).toEqual([commit, commit]);
  });

  it("name the port that another program holds, and keep serving the old version", async () => {
    const holder = createServer();
    await new Promise<void>((ready) => holder.listen(0, "127.0.0.1", ready));
    const { port } = holder.address() as { port: number };
    const file = readFileSync(clone.stackFile(stack), "utf8");
    try {
      clone.configure(stack, { source: app.folder, listen: `127.0.0.1:${port}` });
      const { first } = await failsUntouched(() => clone.run("up", ["--stack", stack]));
      expect(first).toContain(`error: port ${port} of 127.0.0.1 is taken by another program; stop it (`);
      expect(first).toContain("or set watch-party:listen to another address:port");
    } finally {
      await new Promise((closed) => holder.close(closed));
      clone.configure(stack, { source: app.folder, listen: new URL(url).host });
      expect(file).toContain(new URL(url).host);
    }
  });

  it("give the remedy for an engine that does not run", async () => {
    const env = { DOCKER_HOST: `unix://${folder}/no.sock` };
    const up = await failsUntouched(() => clone.run("up", ["--stack", stack], env));
    expect(up.first).toBe(`toolchain: no Docker engine answers at DOCKER_HOST=unix://${folder}/no.sock`);
    expect(up.stderr).toContain("Start the engine there, or unset DOCKER_HOST to use the local one.");

    const args = ["up", "--yes", "--skip-preview", "--stack", stack];
    const pulumi = await clone.run("pulumi", args, env);
    expect(pulumi.status).not.toBe(0);
    expect(pulumi.stdout).toContain("the Docker engine is not running; start it with");
    expect(pulumi.stdout).not.toContain("Pruning");
    expect(await served()).toEqual([commit, commit]);
  });

  it("give the remedy for an engine that refuses the user", async () => {
    const words =
      "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock";
    const docker = `case "$*" in --version) echo "Docker version 20.10.24, build 1";; *) echo '${words}' >&2; exit 1;; esac`;
    const { toolchain, path } = toolchainWithDocker(mkdtempSync(join(folder, "denied-")), docker);
    const env = { WATCH_PARTY_TOOLCHAIN: toolchain, PATH: path };
    const up = await failsUntouched(() => clone.run("up", ["--stack", stack], env));
    expect(up.first).toBe("toolchain: the Docker engine runs, but this user may not use it");
    expect(up.stderr).toContain('Join its group, then log in again: sudo usermod -aG docker "$USER"');

    const pulumi = await clone.run("pulumi", ["up", "--yes", "--skip-preview", "--stack", stack], env);
    expect(pulumi.stdout).toContain(
      'the Docker engine refuses this user; run "sudo usermod -aG docker $USER" and log in again',
    );
  });

  it("print the cause of a failed deploy first", async () => {
    await app.commit({
      "backend/Dockerfile": "FROM python:3.11-slim-bookworm\nRUN echo it-is-broken && exit 7\n",
    });
    const said = await clone.run("up", ["--stack", stack, "--json"]);
    expect(said.status).toBe(1);
    expect(said.stdout).toBe("");
    expect(said.stderr).toMatch(/^error: .*backend/m);
    expect(await served()).toEqual([commit, commit]);
  });

  it("remove everything again", async () => {
    await clone.good(clone.run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", stack]));
    await clone.good(clone.run("pulumi", ["stack", "rm", "--yes", "--stack", stack]));
    expect(await leftovers(stack)).toEqual([]);
    expect(clone.resources(stack)).toBeUndefined();
    expect(await clone.changed()).toEqual([]);
  });
});
