import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { BareEdge } from "../support/bareEdge";
import { BusyBuild } from "../support/busyBuild";
import { FULL } from "../support/matrix";
import { OpenLoad } from "../support/openLoad";

/** Answers in a moment, upgrades what asks for it, ends at /end. It remembers over its ends how often /end was asked for. */
const APP = `
const { appendFileSync, existsSync, readFileSync } = require("node:fs");
const server = require("node:http").createServer((request, response) => {
  if (request.url === "/end") {
    appendFileSync("/tmp/ends", request.method + "\\n");
    process.exit(1);
  }
  if (request.url === "/ends") return response.end(existsSync("/tmp/ends") ? readFileSync("/tmp/ends") : "");
  setTimeout(() => response.end("hello"), 5);
});
server.on("upgrade", (_, socket) => {
  socket.on("error", () => socket.destroy());
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n");
});
server.listen(Number(process.env.PORT), "0.0.0.0", 511);
`;
/** Requests a second. */
const RATE = 50;
const FROZEN_SECONDS = FULL ? [4, 8] : [4];

const pause = (seconds: number) => new Promise((resume) => setTimeout(resume, seconds * 1000));

describe(`during a build on both cores, at ${RATE} requests a second, half of them over new connections`, () => {
  let edge: BareEdge;
  let build: BusyBuild | undefined;

  beforeAll(async () => {
    edge = await BareEdge.start(APP);
    build = await BusyBuild.start();
  });
  afterAll(async () => {
    await build?.end();
    await edge?.remove();
  });

  it.each<[string, () => Promise<unknown>]>([
    ...FROZEN_SECONDS.map((seconds): [string, () => Promise<unknown>] => [
      `is frozen for ${seconds} s`,
      () => edge.freezeApp(seconds),
    ]),
    ["is killed", () => edge.killApp()],
    [
      "is removed, and there is another one two seconds later",
      async () => {
        await execa("docker", ["rm", "--force", edge.app]);
        await pause(2);
        await edge.startApp();
      },
    ],
  ])("fails no request while the container %s", async (_, work) => {
    const load = new OpenLoad(edge.url, RATE);
    await pause(1);
    await work();
    await pause(2);
    const samples = await load.stop();
    expect(samples.length).toBeGreaterThan(3 * RATE * 0.9);
    expect(samples.filter(({ failure }) => failure !== "").slice(0, 5)).toEqual([]);
  });

  it("never repeats a request with side effects, and others only for a moment", async () => {
    const asked = async (method: string) => {
      const { status } = await fetch(`${edge.url}/end`, { method });
      const ends = await (await fetch(`${edge.url}/ends`)).text();
      return { status, times: ends.split("\n").filter((each) => each === method).length };
    };
    expect(await asked("POST")).toEqual({ status: 502, times: 1 });
    const { status, times } = await asked("GET");
    expect(status).toBe(502);
    expect(times).toBeLessThan(10);
  });
});

const [MEMORY_MB, MOST_UPGRADES] = FULL ? [256, 1792] : [64, 448];
const TOO_MANY = FULL ? 2172 : MOST_UPGRADES + 50;
/** More than an edge of this memory has files for. */
const HALF_SENT = FULL ? 8000 : 1200;
const WEBSOCKET = "GET /ws HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/** Just less than the edge takes. */
const HALF = `GET / HTTP/1.1\r\nHost: edge\r\nX-Long: ${"x".repeat(FULL ? 30_000 : 8000)}`;

describe(`an edge of ${MEMORY_MB} MiB`, () => {
  let edge: BareEdge;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    edge = await BareEdge.start(APP, { memoryMb: MEMORY_MB });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await edge?.remove();
  });

  /** Opens connections, sends a text over each. @returns the first line of each answer, as they come; they stay open */
  async function open(count: number, text: string): Promise<string[]> {
    const answers: string[] = [];
    for (let each = 0; each < count; each++) {
      const socket = connect(80, edge.address);
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      socket.once("data", (data) => answers.push(String(data).split("\r\n", 1)[0] ?? ""));
      const connected = new Promise((resume) => socket.once("connect", resume));
      socket.write(text);
      // The kernel keeps those waiting that the edge has no file for; not all at once, for it drops what comes too quickly.
      if (each % 50 === 0) await Promise.race([connected, pause(0.1)]);
    }
    return answers;
  }

  it(`answers WebSockets beyond ${MOST_UPGRADES} with 503, and other requests normally`, async () => {
    const answers = await open(TOO_MANY, WEBSOCKET);
    while (answers.length < TOO_MANY) await pause(0.1);
    const opened = answers.filter((line) => line.startsWith("HTTP/1.1 101")).length;
    // Some that come at one moment find the same last place.
    expect(Math.abs(opened - MOST_UPGRADES)).toBeLessThan(MOST_UPGRADES / 20);
    expect(answers.filter((line) => line.startsWith("HTTP/1.1 503")).length).toBe(TOO_MANY - opened);
    const { status } = await fetch(edge.url, { signal: AbortSignal.timeout(5000) });
    expect(status).toBe(200);
    expect(await edge.isAlive()).toBe(true);
  });

  it(`survives ${HALF_SENT} requests with endless headers, and answers after it has dropped them`, async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await open(HALF_SENT, HALF);
    const answers = async () => (await fetch(edge.url).catch(() => undefined))?.status === 200;
    while (!(await answers())) await pause(0.5);
    expect(await edge.isAlive()).toBe(true);
  });
});
