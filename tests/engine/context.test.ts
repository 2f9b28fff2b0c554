import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer as listen, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as listenTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { localSocket } from "../../engine/dial";
import { DockerEngine } from "../../engine/docker";
import { Life, Plugin } from "../plugins/client";
import { TestApp } from "../support/app";
import { selfSigned } from "../support/certificate";
import { freePort, TestStack } from "../support/stack";
import { withVariables } from "../support/variables";

const folder = mkdtempSync(join(tmpdir(), "watch-party-context-"));
const socket = join(folder, "docker.sock");
const servers: Server[] = [];
let asked = 0;

/** Leads a connection on to the machine's engine. */
function forward(from: Socket): void {
  asked++;
  // The client of an exec closes its half first and reads on.
  const to = connect({ path: localSocket() ?? "/var/run/docker.sock", allowHalfOpen: true });
  for (const [a, b] of [
    [from, to],
    [to, from],
  ] as const) {
    a.pipe(b);
    a.on("error", () => b.destroy());
    a.on("close", () => b.destroy());
  }
}

beforeAll(async () => {
  const server = listen({ allowHalfOpen: true }, forward);
  servers.push(server);
  await new Promise<void>((ready) => server.listen(socket, ready));
  const id = createHash("sha256").update("elsewhere").digest("hex");
  const meta = join(folder, "contexts", "meta", id);
  mkdirSync(meta, { recursive: true });
  const context = { Name: "elsewhere", Endpoints: { docker: { Host: `unix://${socket}` } } };
  writeFileSync(join(meta, "meta.json"), JSON.stringify(context));
  writeFileSync(join(folder, "config.json"), JSON.stringify({ currentContext: "elsewhere" }));
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("an engine that a docker context chooses", () => {
  it.each([
    ["is used for all of a deploy", {}],
    ["is found by DOCKER_CONTEXT as well", { DOCKER_CONTEXT: "elsewhere" }],
  ])("%s", async (_, variables) => {
    const app = await TestApp.create();
    const services = { backend: { route: "/" } };
    const env = { DOCKER_CONFIG: folder, ...variables };
    const stack = await TestStack.create({ source: app.folder, services }, env);
    try {
      asked = 0;
      const { ok, said } = await stack.up();
      expect(ok ? "" : said).toBe("");
      expect(asked).toBeGreaterThan(0);
      expect(stack.state()).toContain(`unix://${socket}`);
      const commit = await app.git("rev-parse", "HEAD");
      expect(await (await fetch(`${stack.url}/version`)).json()).toEqual({ commit });
      expect((await stack.up()).changes).toEqual({});
    } finally {
      expect((await stack.remove()).ok).toBe(true);
      app.remove();
    }
  });

  it("with TLS keys is reachable by the variables in the refusal", async () => {
    const keys = join(folder, "keys");
    mkdirSync(keys);
    const at = (name: string) => join(keys, name);
    await selfSigned("IP:127.0.0.1", at("key.pem"), at("cert.pem"));
    await execa("cp", [at("cert.pem"), at("ca.pem")]);
    const [cert, key] = await Promise.all(
      ["cert.pem", "key.pem"].map(async (name) => (await execa("cat", [at(name)])).stdout),
    );
    const port = await freePort();
    const server = listenTls({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }, forward);
    servers.push(server);
    await new Promise<void>((ready) => server.listen(port, "127.0.0.1", ready));
    const variables = {
      DOCKER_HOST: `tcp://127.0.0.1:${port}`,
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: keys,
    };
    const plugin = await Plugin.start("docker", { env: { ...process.env, ...variables } });
    try {
      asked = 0;
      const volume = new Life(plugin, "docker:index/volume:Volume", "data");
      await volume.up({ name: `watch-party-tls-${port}` });
      await volume.destroy();
      expect(asked).toBeGreaterThan(0);
      const versions = () => new DockerEngine().versions();
      expect(await withVariables(variables, versions)).toHaveLength(2);
    } finally {
      await plugin.stop();
    }
  });
});
