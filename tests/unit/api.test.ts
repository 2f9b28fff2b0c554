import { type Agent, createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { EngineApi } from "../../engine/api";

let server: Server;
let answered = 0;
const waiting: ServerResponse[] = [];

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
  it("is asked one question after the other on one connection", async () => {
    const { api, dialled } = connected();
    for (let at = 0; at < 15; at++)
      expect(await api.ask("GET", "/json", { query: { at: String(at), of: "a b" } })).toEqual({
        url: `/json?at=${at}&of=a+b`,
        method: "GET",
      });
    expect(dialled()).toBe(1);
    // What is left of each question would be warned of after some.
    expect(idle(api).map((socket) => socket.listenerCount("error"))).toEqual([1]);
  });

  it("is asked on a new connection where the engine has ended the one that was kept", async () => {
    const { api, dialled } = connected();
    expect(await api.ask("GET", "/last")).toEqual({ a: 1 });
    for (const deadline = Date.now() + 20_000; idle(api).length > 0; ) {
      if (Date.now() > deadline) throw new Error("a connection that has ended is kept");
      await new Promise((resume) => setTimeout(resume, 5));
    }
    expect(await api.ask("GET", "/json", { timeoutSeconds: 10 })).toBeDefined();
    expect(dialled()).toBe(2);
  });

  it("is asked many at once on three", async () => {
    const { api, dialled } = connected();
    const before = answered;
    await Promise.all(Array.from({ length: 20 }, () => api.ask("POST", "/json", { body: { a: 1 } })));
    expect(answered - before).toBe(20);
    expect(dialled()).toBe(3);
  });

  it("tells its own words where it says no, and what it has not from what fails", async () => {
    const { api, dialled } = connected();
    await expect(api.ask("GET", "/missing")).rejects.toThrow("docker: No such container: missing");
    expect(await api.find("/missing")).toBeUndefined();
    expect(dialled()).toBe(1);
    await expect(api.find("/broken")).rejects.toThrow("docker: socket hang up");
    expect(await api.find("/json")).toBeDefined();
    expect(dialled()).toBe(2);
  });

  it("tells an answer that breaks off in the words of one that never came", async () => {
    const { api } = connected();
    await expect(api.ask("GET", "/half")).rejects.toThrow("docker: socket hang up");
    const dial = [
      "sh",
      ["-c", "printf 'HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\n{'; echo 'way lost' >&2; exit 1"],
    ] as const;
    await expect(new EngineApi(() => dial).ask("GET", "/json")).rejects.toThrow("docker: way lost");
  });

  it("is given up after its time", async () => {
    const { api } = connected();
    for (const path of ["/never", "/slow"])
      await expect(api.ask("GET", path, { timeoutSeconds: 1 })).rejects.toThrow(
        "docker: no answer within 1 s",
      );
  });

  it.each([
    [
      "what the command says that cannot connect",
      ["sh", ["-c", "echo 'no way there' >&2; exit 1"]],
      "no way there",
    ],
    ["how it ended where it says nothing", ["sh", ["-c", "exit 3"]], "the connection ended with 3"],
    ["that there is no such command", ["/no/such/docker", []], "spawn /no/such/docker ENOENT"],
  ] as const)("tells %s", async (_, command, words) => {
    const api = new EngineApi(() => command);
    await expect(api.ask("GET", "/json")).rejects.toThrow(`docker: ${words}`);
  });
});
