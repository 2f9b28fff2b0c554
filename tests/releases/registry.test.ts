import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { DockerEngine } from "../../engine/docker";
import { pushImage } from "../../engine/registry";
import { must } from "../../freshness/sure";
import { TestApp } from "../support/app";
import { commandLinesDuring, isProgram, seenDuring } from "../support/processes";
import { TestRegistry } from "../support/registry";
import { type Outcome, TestStack } from "../support/stack";

it("a registry whose certificate the engine does not know gets images once its authority is known", async () => {
  const engine = new DockerEngine();
  // An address of this machine that is not the loopback's, for which an engine asks for no certificate.
  const { stdout } = await execa("ip", ["-4", "-oneline", "address", "show", "docker0"]);
  const [, host] = must(/inet ([\d.]+)\//.exec(stdout), "address of docker0");
  const registry = await TestRegistry.start({ host, tls: true });
  const { address, user, password } = registry;
  const folder = `/etc/docker/certs.d/${host}:${registry.port}`;
  const image = `watch-party-certificate:${process.pid}`;
  const push = () => pushImage(engine, { address, user, password }, image);
  try {
    await execa("docker", ["image", "tag", "debian:bookworm-slim", image]);
    await expect(push()).rejects.toThrow(
      `the registry ${address} has no certificate that the engine trusts; give it one, or put its authority into /etc/docker/certs.d on the engine's machine`,
    );
    mkdirSync(folder, { recursive: true });
    copyFileSync(registry.certificate, join(folder, "ca.crt"));
    const pushed = await push();
    expect(await registry.has(pushed)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await execa("docker", ["image", "rm", image]);
    await registry.remove();
  }
});

/** One story with a real registry that asks for a login: each step begins where the one before it ended. */
describe("a stack with a registry", () => {
  let registry: TestRegistry;
  let app: TestApp;
  let stack: TestStack;
  let first: string;
  let second: string;
  let said = "";

  const good = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    said += done.said;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const bad = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    said += done.said;
    expect(done.ok).toBe(false);
    return done.said;
  };
  const served = async () => {
    const answer = await fetch(`${stack.url}/.freshness/backend`);
    return ((await answer.json()) as { commit: string }).commit;
  };
  const current = async () => {
    const { record } = (await stack.outputs()) as {
      record: { current: { images: Record<string, { digest: string; pushed: string }> } };
    };
    return record.current.images.backend!;
  };
  const settings = () => ({ address: registry.address, user: registry.user });

  beforeAll(async () => {
    registry = await TestRegistry.start();
    app = await TestApp.create();
    first = await app.git("rev-parse", "HEAD");
    const services = { backend: { startSeconds: 30 } };
    stack = await TestStack.create({ source: app.folder, services });
    await good(stack.up());
    await stack.configure({ registry: settings() });
  });
  afterAll(async () => {
    await stack?.remove();
    await registry?.remove();
    app?.remove();
  });

  it("needs the password before a push, and reports a wrong one", async () => {
    expect(await bad(stack.up())).toContain("watch-party:registryPassword is missing");
    await stack.configure({ registryPassword: "wrong" }, true);
    expect(await bad(stack.up())).toContain(`the registry ${registry.address} refuses ${registry.user}`);
    expect(await served()).toBe(first);
  });

  it("pushes the running images without a change, with the password in no command line and no file", async () => {
    await stack.configure({ registryPassword: registry.password }, true);
    const up = good(stack.up());
    const [{ changes }, seen, exposed] = await Promise.all([
      up,
      commandLinesDuring(up),
      seenDuring(up, registry.password),
    ]);
    expect(exposed.filter((each) => !isProgram(each))).toEqual([]);
    expect(changes).toEqual({});
    const { pushed } = await current();
    expect(pushed).toMatch(new RegExp(`^${registry.address}/watch-party-.*-backend@sha256:[0-9a-f]{64}$`));
    expect(await registry.has(pushed)).toBe(true);
    expect(seen.some((line) => line.includes("image\0push"))).toBe(true);
    expect(seen.filter((line) => line.includes(registry.password))).toEqual([]);
    expect(stack.state()).not.toContain(registry.password);
    expect(readFileSync(join(stack.folder, `Pulumi.${stack.name}.yaml`), "utf8")).not.toContain(
      registry.password,
    );
    expect(said).not.toContain(registry.password);
    expect(readdirSync(homedir()).filter((name) => name.startsWith(".watch-party-"))).toEqual([]);
    const { stdout } = await execa("docker", ["image", "ls", "--all", "--format", "{{.Repository}}"]);
    expect(stdout).not.toContain(registry.address);
  });

  it("contacts no registry without changes, and stops if a new image cannot be pushed", async () => {
    await registry.pause();
    expect((await good(stack.up())).changes).toEqual({});
    second = await app.commit({ "backend/message.txt": "two\n" });
    expect(await bad(stack.up())).toContain(`the registry ${registry.address} does not answer to the engine`);
    expect(await served()).toBe(first);
    await registry.resume();
    // What a push that was killed leaves.
    const name = `watch-party-${stack.name}-backend:${first.slice(0, 12)}`;
    await execa("docker", ["image", "tag", name, `${registry.address}/${name}`]);
    await good(stack.up());
    expect(await served()).toBe(second);
    expect(await registry.has((await current()).pushed)).toBe(true);
    const { stdout } = await execa("docker", ["image", "ls", "--all", "--format", "{{.Repository}}"]);
    expect(stdout).not.toContain(registry.address);
  });

  it("pulls by digest the images that a rollback needs and the engine lacks", async () => {
    const tag = `watch-party-${stack.name}-backend:${first.slice(0, 12)}`;
    await execa("docker", ["image", "rm", "--force", tag]);
    const { status, stderr } = await stack.command("rollback");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(await served()).toBe(first);
    const { digest } = await current();
    const { stdout } = await execa("docker", ["image", "inspect", "--format", "{{.Id}}", tag]);
    expect(stdout).toBe(digest);
  });

  it("names an image that the registry no longer has, and the build of its commit serves it", async () => {
    const third = await app.commit({ "backend/message.txt": "three\n" });
    await good(stack.up());
    const tag = `watch-party-${stack.name}-backend:${first.slice(0, 12)}`;
    await execa("docker", ["image", "rm", "--force", tag]);
    await registry.forget();
    const { status, stderr } = await stack.command("rollback", "--to", first);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /no longer has .*; build it: set watch-party:commit to its commit and deploy with --allow-older/,
    );
    expect(await served()).toBe(third);
    await stack.configure({ commit: first });
    const up = await stack.command("up", "--allow-older");
    expect([up.status, up.stderr]).toEqual([0, expect.anything()]);
    expect(await served()).toBe(first);
  });
});
