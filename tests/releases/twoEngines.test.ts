import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { SmallEngine } from "../support/engine";
import { TestRegistry } from "../support/registry";
import { SshServer } from "../support/sshd";
import { freePort, type Outcome, TestStack } from "../support/stack";

/** One story on two engines that have nothing in common: staging's is this machine's, prod's a server's. */
describe("two engines", () => {
  let engine: SmallEngine;
  let server: SshServer;
  let registry: TestRegistry;
  let app: TestApp;
  let staging: TestStack;
  let prod: TestStack;
  let url: string;
  let commit: string;

  const good = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const served = async () => {
    const answer = await fetch(`${url}/.freshness/backend`);
    return ((await answer.json()) as { commit: string }).commit;
  };
  /** The id that an engine knows an image by, empty where it has none of that name. */
  const idOn = async (on: readonly string[], tag: string) =>
    (await execa("docker", [...on, "image", "ls", "--quiet", "--no-trunc", tag])).stdout;
  const there = () => ["--host", engine.host];
  const images = async (stack: TestStack) =>
    ((await stack.outputs()) as { images: Record<string, string> }).images;
  const tagOf = (stack: TestStack, of: string) => `watch-party-${stack.name}-backend:${of.slice(0, 12)}`;

  beforeAll(async () => {
    engine = await SmallEngine.start(1400, ["caddy:2.11"]);
    server = await SshServer.start("NONE", { DOCKER_HOST: engine.host });
    app = await TestApp.create();
    commit = await app.git("rev-parse", "HEAD");
    const services = { backend: { startSeconds: 60 } };
    staging = await TestStack.create({ source: app.folder, services });
    const listen = `${engine.address}:${await freePort()}`;
    url = `http://${listen}`;
    const { port, user, hostKey } = server;
    prod = await staging.beside({
      ...{ source: app.folder, services, listen, buildOn: "here" },
      server: { host: "127.0.0.1", port, user, hostKey },
    });
    await prod.configure({ serverKey: server.key }, true);
    await good(staging.up());
  });
  afterAll(async () => {
    await prod?.command("pulumi", "destroy", "--yes");
    await prod?.remove();
    await staging?.remove();
    await registry?.remove();
    await server?.remove();
    await engine?.remove();
    app?.remove();
  });

  it("run the same image by promotion, which copies it to the second engine", async () => {
    const { backend: digest } = await images(staging);
    expect(await engine.docker("image", "ls", "--quiet", "--no-trunc")).not.toContain(digest);
    const { status, stderr } = await prod.command("up", "--from-stack", staging.name);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(stderr).toContain("bringing 1 image …");
    expect(await served()).toBe(commit);
    expect(await images(prod)).toEqual({ backend: digest });
    expect(await idOn(there(), tagOf(prod, commit))).toBe(digest);
    expect((await prod.verify()).status).toBe(0);
  });

  it("build locally and run on the server, sent over ssh, without a build there", async () => {
    commit = await app.commit({ "backend/message.txt": "two\n" });
    await good(prod.up());
    expect(await served()).toBe(commit);
    const { backend: digest } = await images(prod);
    expect(await idOn([], tagOf(prod, commit))).toBe(digest);
    expect(await idOn(there(), tagOf(prod, commit))).toBe(digest);
    const cache = await engine.docker("system", "df", "--format", "{{.Type}} {{.TotalCount}}");
    expect(cache).toContain("Build Cache 0");
    expect((await good(prod.up())).changes).toEqual({});
  });

  it("build locally and run on the server, pulled by digest from a registry", async () => {
    registry = await TestRegistry.start({ host: "0.0.0.0" });
    await engine.forward(registry.port);
    await prod.configure({ registry: { address: registry.address, user: registry.user } });
    await prod.configure({ registryPassword: registry.password }, true);
    commit = await app.commit({ "backend/message.txt": "three\n" });
    await good(prod.up());
    expect(await served()).toBe(commit);
    const { backend: digest } = await images(prod);
    expect(await idOn(there(), tagOf(prod, commit))).toBe(digest);
    expect(registry.reads).toBeGreaterThan(0);
    expect(await engine.docker("image", "ls", "--format", "{{.Repository}}")).not.toContain(registry.address);
    expect((await good(prod.up())).changes).toEqual({});
  });
});
