import type { DockerEngine } from "./docker";

/** Whose open requests are waited for. */
export interface Draining {
  readonly edge: string;
  /** The containers that the edge no longer leads to. */
  readonly containers: readonly string[];
  /** How long at most. */
  readonly seconds: number;
}

/**
 * Waits until the edge has no connection to containers that go: requests that were under way end well, whatever the app
 * does when it is told to stop. A WebSocket stays open; the app closes it when it is told.
 *
 * The edge drops idle connections after a moment (see caddy.ts), so that what is left is in use.
 *
 * @returns how many connections are left
 */
export async function drain(engine: DockerEngine, { edge, containers, seconds }: Draining): Promise<number> {
  const found = await engine.inspectContainers(containers);
  const addresses = found.flatMap(({ networks }) => networks.map(({ address }) => address));
  const old = new Set(addresses.filter((address) => address !== ""));
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const table = await engine.docker(["exec", edge, "cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    const left = openTo(table).filter((address) => old.has(address)).length;
    if (left === 0 || Date.now() >= deadline) return left;
    await new Promise((resume) => setTimeout(resume, 200));
  }
}

const ESTABLISHED = "01";

/** The remote IPv4 addresses of established connections, from /proc/net/tcp and tcp6. */
export function openTo(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [, remote, state] =
      /^\s*\d+: [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]+):[0-9A-F]{4} (\d\d) /.exec(line) ?? [];
    if (remote === undefined || state !== ESTABLISHED) return [];
    // The kernel writes an address in the order of its own bytes: the last one first.
    const bytes = remote.slice(-8).match(/../g)!.reverse();
    return [bytes.map((byte) => Number.parseInt(byte, 16)).join(".")];
  });
}
