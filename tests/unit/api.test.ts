import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type Agent, createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { EngineApi } from "../../engine/api";
import { localSocket } from "../../engine/dial";
import { cutOff } from "../../engine/problems";
import { until } from "../support/swarm";

let server: Server;
let answered = 0;
const waiting: ServerResponse[] = [];

const folder = mkdtempSync(join(tmpdir(), "watch-party-api-"));

beforeAll(async () => {
  server = createServer((request, response) => {
    answered++;
    if (request.url === "/never") waiting.push(response);
    else if (request.url === "/missing")
      response.writeHead(404).end('{"message":"No such container: missing"}');
    else if (request.url === "/broken") response.destroy();
    else if (request.url === "/last") response.end('{"a":1}', () => request.socket.end());
    else if (request.url === "/half") response.write('{"a":', () => response.destroy());
    else if (request.url === "/slow") {
      waiting.push(response);
      response.write("{");
    } else response.end(JSON.stringify({ url: request.url, method: request.method }));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
});

afterAll(() => {
  for (const each of waiting) each.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

/** A program that connects its standard input and output to the server, as `docker system dial-stdio` does to the engine. */
const DIAL =
  'const s = require("net").connect(+process.argv[1], "127.0.0.1"); process.stdin.pipe(s); s.pipe(process.stdout); s.on("close", () => process.exit(0))';

function connected() {
  const { port } = server.address() as AddressInfo;
  let dialled = 0;
  const api = new EngineApi(() => {
    dialled++;
    return [process.execPath, ["-e", DIAL, String(port)]];
  });
  return { api, dialled: () => dialled };
}

/** The connections that wait for the next question. */
function idle(api: EngineApi): Socket[] {
  const { agent } = api as unknown as { agent: Agent };
  return Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
}

describe("the engine's API", () => {
  it("sends sequential requests on one connection", async () => {
    const { api, dialled } = connected();
    for (let at = 0; at < 15; at++)
      expect(await api.ask("GET", "/json", { query: { at: String(at), of: "a b" } })).toEqual({
        url: `/json?at=${at}&of=a+b`,
        method: "GET",
      });
    expect(dialled()).toBe(1);
    // Node would warn of leftover listeners after several requests.
    expect(idle(api).map((socket) => socket.listenerCount("error"))).toEqual([1]);
  });

  it("opens a new connection if the engine has closed the kept one", async () => {
    const { api, dialled } = connected();
    expect(await api.ask("GET", "/last")).toEqual({ a: 1 });
    await until("a connection that has ended is given up", async () => idle(api).length === 0);
    expect(await api.ask("GET", "/json", { timeoutSeconds: 10 })).toBeDefined();
    expect(dialled()).toBe(2);
  });

  it("sends many requests at once on six connections over a link", async () => {
    const { api, dialled } = connected();
    const before = answered;
    await Promise.all(Array.from({ length: 20 }, () => api.ask("POST", "/json", { body: { a: 1 } })));
    expect(answered - before).toBe(20);
    expect(dialled()).toBe(6);
  });

  it("opens connections ahead, which the first requests use", async () => {
    const { api, dialled } = connected();
    api.openAhead();
    expect(dialled()).toBe(4);
    await Promise.all(Array.from({ length: 4 }, () => api.ask("GET", "/json")));
    expect(dialled()).toBe(4);
  });

  it("forgets a connection that broke before its first request, which says why the next one breaks", async () => {
    const broken = new EngineApi(() => ["sh", ["-c", "echo no way there >&2; exit 1"]]);
    broken.openAhead();
    await expect(broken.ask("GET", "/json")).rejects.toThrow("docker: no way there");
  });

  it("reports the engine's message for an error, and distinguishes a missing object from a failure", async () => {
    const { api, dialled } = connected();
    await expect(api.ask("GET", "/missing")).rejects.toThrow("docker: No such container: missing");
    expect(await api.find("/missing")).toBeUndefined();
    expect(dialled()).toBe(1);
    await expect(api.find("/broken")).rejects.toThrow("docker: socket hang up");
    expect(await api.find("/json")).toBeDefined();
    expect(dialled()).toBe(2);
  });

  it("reports a truncated answer like a missing one", async () => {
    const { api } = connected();
    await expect(api.ask("GET", "/half")).rejects.toThrow("docker: socket hang up");
    const dial = [
      "sh",
      ["-c", "printf 'HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\n{'; echo 'way lost' >&2; exit 1"],
    ] as const;
    await expect(new EngineApi(() => dial).ask("GET", "/json")).rejects.toThrow("docker: way lost");
  });

  it("times out", async () => {
    const { api } = connected();
    for (const path of ["/never", "/slow"])
      await expect(api.ask("GET", path, { timeoutSeconds: 1 })).rejects.toThrow(
        "docker: no answer within 1 s",
      );
  });

  it.each([
    [
      "the message of a command that cannot connect",
      ["sh", ["-c", "echo 'no way there' >&2; exit 1"]],
      "no way there",
    ],
    ["the exit status of a silent command", ["sh", ["-c", "exit 3"]], "the connection ended with 3"],
    ["a missing command", ["/no/such/docker", []], "spawn /no/such/docker ENOENT"],
  ] as const)("reports %s", async (_, command, words) => {
    const api = new EngineApi(() => command);
    await expect(api.ask("GET", "/json")).rejects.toThrow(`docker: ${words}`);
  });

  it("uses the engine's socket on this machine, without a process", async () => {
    const path = join(folder, "docker.sock");
    const near = createServer((request, response) => {
      if (request.url === "/broken") response.destroy();
      else if (request.url === "/slow") response.write("{");
      else response.end(JSON.stringify({ url: request.url }));
    });
    await new Promise<void>((listening) => near.listen(path, listening));
    const connections: Socket[] = [];
    near.on("connection", (socket) => connections.push(socket));
    const api = new EngineApi(() => ["/no/such/docker", []], path);
    await Promise.all(Array.from({ length: 20 }, () => api.ask("GET", "/json")));
    expect(connections.length).toBe(3);
    await expect(api.ask("GET", "/broken")).rejects.toThrow("docker: socket hang up");
    await expect(api.ask("GET", "/slow", { timeoutSeconds: 1 })).rejects.toThrow(
      "docker: no answer within 1 s",
    );
    const half = api.ask("GET", "/slow").catch((cause: Error) => cause.message);
    const { agent } = api as unknown as { agent: Agent };
    const [busy] = Object.values(agent.sockets).flatMap((sockets) => sockets ?? []);
    await new Promise((begun) => busy!.once("data", begun));
    busy!.destroy(Object.assign(new Error("read ECONNRESET"), { syscall: "read" }));
    expect(cutOff([String(await half)])).toBeDefined();
    for (const socket of connections) socket.destroy();
    await new Promise((closed) => near.close(closed));
    const gone = await api.ask("GET", "/json").catch((cause: Error) => cause.message);
    expect(gone).toMatch(/^docker: engine at .*docker.sock: (connect|write) E/);
    expect(cutOff([String(gone)])).toBeDefined();
  });
});

describe("the socket of this machine's engine", () => {
  const DEFAULT = "/var/run/docker.sock";

  it.each([
    [
      "is the one of DOCKER_HOST",
      { DOCKER_HOST: "unix:///run/user/1000/docker.sock" },
      "/run/user/1000/docker.sock",
    ],
    ["is none for a remote DOCKER_HOST", { DOCKER_HOST: "ssh://root@10.0.0.1" }, undefined],
    ["is the default without a configuration", { DOCKER_CONFIG: "/no/such/folder" }, DEFAULT],
    ["is the default with the default context", { DOCKER_CONTEXT: "default" }, DEFAULT],
    ["is left to the CLI with another context", { DOCKER_CONTEXT: "server" }, undefined],
    [
      "is the one of DOCKER_HOST, with any context",
      { DOCKER_CONTEXT: "server", DOCKER_HOST: "unix:///a" },
      "/a",
    ],
  ] as const)("%s", (_, env, found) => expect(localSocket(env)).toBe(found));

  it.each([
    ["of a configuration without a context is the default", '{"auths":{}}', DEFAULT],
    ["is left to the CLI with a selected context", '{"currentContext":"server"}', undefined],
    ["is left to the CLI with an unreadable configuration", "{", undefined],
  ])("%s", (_, text, found) => {
    writeFileSync(join(folder, "config.json"), text);
    expect(localSocket({ DOCKER_CONFIG: folder })).toBe(found);
  });
});
