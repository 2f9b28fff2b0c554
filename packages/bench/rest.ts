import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../../freshness/median";
import { TestApp } from "../../tests/support/app";
import { BareEdge } from "../../tests/support/bareEdge";
import { TestStack } from "../../tests/support/stack";
import type { RestRow } from "./results";

/** What a deployed stack uses while nothing is asked of it. */
const REST_SECONDS = 180;
const REQUESTS = 4_000;
const CONNECTIONS = 16;
const SOCKETS = 300;
/** The kernel counts processor time in these, on every architecture. */
const TICKS_A_SECOND = 100;

/** Answers 4 KB of text, and takes any upgrade. */
const APP = `const text = "a line of text ".repeat(273);
const server = require("http").createServer((_, answer) => answer.setHeader("content-type", "text/plain").end(text));
server.on("upgrade", (_, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n");
  socket.on("error", () => socket.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(process.env.PORT);`;

/** Processor time of a stack of two services and its edge at rest, and what a request and a WebSocket cost at the edge. */
export async function measureRest(
  rounds: number,
  enough: () => boolean,
  say: (text: string) => void,
): Promise<RestRow[]> {
  const rows: RestRow[] = [];
  const add = (row: RestRow) => {
    rows.push(row);
    say(`${row.what}: ${row.value.toFixed(2)} ${row.unit}`);
  };
  for (const row of await atRest(say)) add(row);
  if (enough()) return rows;
  for (const row of await atTheEdge(rounds, enough)) add(row);
  if (enough()) return rows;
  add(await socketsAMiB());
  return rows;
}

async function atRest(say: (text: string) => void): Promise<RestRow[]> {
  const app = await TestApp.create();
  const stack = await TestStack.create({ source: app.folder });
  try {
    const { ok, said } = await stack.up();
    if (!ok) throw new Error(said);
    const names = ["frontend", "backend", "edge"];
    const ids = await Promise.all(names.map((name) => stack.container(name)));
    const take = () => ({ containers: ids.map(containerSeconds), engine: engineSeconds(ids) });
    say(`at rest for ${REST_SECONDS} s …`);
    const before = take();
    await sleep(REST_SECONDS * 1000);
    const after = take();
    const share = (seconds: number) => (seconds / REST_SECONDS) * 100;
    const own = names.map((name, at) => ({
      name,
      value: share((after.containers[at] ?? 0) - (before.containers[at] ?? 0)),
    }));
    const engine = share(after.engine - before.engine);
    const unit = "% of a core";
    return [
      ...own.map(({ name, value }) => ({ what: `at rest: ${name}`, value, unit })),
      { what: "at rest: dockerd, containerd and the containers' shims", value: engine, unit },
      { what: "at rest: in all", value: own.reduce((sum, { value }) => sum + value, engine), unit },
    ];
  } finally {
    await stack.remove();
    app.remove();
  }
}

interface Stats {
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } };
  readonly memory_stats: { readonly usage: number };
}

function statsOf(container: string): Stats {
  const path = `http://docker/containers/${container}/stats?stream=false`;
  const socket = "/var/run/docker.sock";
  return JSON.parse(execFileSync("curl", ["--silent", "--unix-socket", socket, path], { encoding: "utf8" }));
}

function containerSeconds(container: string): number {
  return statsOf(container).cpu_stats.cpu_usage.total_usage / 1e9;
}

/** Processor seconds of the engine's processes, with those of the processes that have ended below them. */
function engineSeconds(containers: readonly string[]): number {
  const engine = Number(readFileSync("/var/run/docker.pid", "utf8"));
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const wanted = pids.filter((pid) => {
    const { parent, name } = statOf(pid) ?? {};
    if (Number(pid) === engine || (parent === engine && name === "containerd")) return true;
    return (
      name?.startsWith("containerd-shim") === true && containers.some((id) => argumentsOf(pid).includes(id))
    );
  });
  return wanted.reduce((sum, pid) => sum + (statOf(pid)?.seconds ?? 0), 0);
}

function statOf(pid: string): { name: string; parent: number; seconds: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
    return {
      name: text.slice(text.indexOf("(") + 1, text.lastIndexOf(")")),
      parent: fields[1] ?? 0,
      seconds: ticks / TICKS_A_SECOND,
    };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

/** Edges that are compared: the program's own, Caddy with one line, and that with compression. */
const EDGES: Readonly<Record<string, (own: string) => string>> = {
  "bare Caddy": () => "{\n\tadmin off\n}\n:80 {\n\treverse_proxy app-1:8000\n}\n",
  "the edge": (own) => own,
  "bare Caddy that compresses": () =>
    "{\n\tadmin off\n}\n:80 {\n\tencode zstd gzip\n\treverse_proxy app-1:8000\n}\n",
};

async function atTheEdge(rounds: number, enough: () => boolean): Promise<RestRow[]> {
  const edges = new Map<string, BareEdge>();
  const taken = new Map<string, number[]>();
  try {
    for (const [name, text] of Object.entries(EDGES)) edges.set(name, await BareEdge.start(APP, {}, text));
    for (let round = 0; round <= rounds && !enough(); round++)
      for (const [name, edge] of edges) {
        const before = containerSeconds(edge.name);
        await ask(edge.address, REQUESTS);
        const each = ((containerSeconds(edge.name) - before) / REQUESTS) * 1e6;
        // The first round warms it up.
        if (round > 0) taken.set(name, [...(taken.get(name) ?? []), each]);
      }
  } finally {
    for (const edge of edges.values()) await edge.remove();
  }
  const bare = median(taken.get("bare Caddy") ?? []);
  return [...taken].flatMap(([name, each]) => [
    { what: `a request of 4 KB: ${name}`, value: median(each), unit: "µs of a core" },
    ...(name === "bare Caddy"
      ? []
      : [{ what: `a request of 4 KB: ${name}`, value: median(each) / bare, unit: "× bare Caddy" }]),
  ]);
}

async function ask(host: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let left = count;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const headers = { "accept-encoding": "gzip" };
      get({ host, agent, headers }, (answer) => answer.resume().once("end", resolve)).once("error", reject);
    });
  const all = Array.from({ length: CONNECTIONS }, async () => {
    while (left-- > 0) await one();
  });
  await Promise.all(all);
  agent.destroy();
}

async function socketsAMiB(): Promise<RestRow> {
  const edge = await BareEdge.start(APP);
  const sockets: Socket[] = [];
  try {
    await ask(edge.address, CONNECTIONS);
    const before = statsOf(edge.name).memory_stats.usage;
    for (let at = 0; at < SOCKETS; at++) sockets.push(await upgraded(edge.address));
    const grown = (statsOf(edge.name).memory_stats.usage - before) / 1024 ** 2;
    return { what: `WebSockets, of ${SOCKETS}`, value: SOCKETS / grown, unit: "for each MiB of the edge" };
  } finally {
    for (const socket of sockets) socket.destroy();
    await edge.remove();
  }
}

function upgraded(host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(80, host);
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const lines = ["GET / HTTP/1.1", `Host: ${host}`, "Connection: Upgrade", "Upgrade: websocket"];
    socket.write(
      `${[...lines, `Sec-WebSocket-Key: ${key}`, "Sec-WebSocket-Version: 13"].join("\r\n")}\r\n\r\n`,
    );
    socket.once("error", reject);
    socket.once("data", (answer) =>
      String(answer).startsWith("HTTP/1.1 101") ? resolve(socket) : reject(new Error(String(answer))),
    );
  });
}
