import type { DockerEngine } from "../engine/docker";
import { EDGES_PATH, EDGES_PORT } from "../engine/edgeNames";

/** Whose open requests are waited for. */
export interface Draining {
  readonly edge: string;
  /** The IPv4 addresses of the containers that the edge no longer leads to; empty ones are none. */
  readonly addresses: readonly string[];
  /** How long at most. */
  readonly seconds: number;
  /** Where the edges that follow it are; one that does not lead to the release yet may lead to those that go. */
  readonly followers: readonly string[];
  readonly release: string;
}

/**
 * Waits until no edge has a connection to containers that go: requests that were under way end well, whatever the app
 * does when it is told to stop. A WebSocket stays open; the app closes it when it is told.
 *
 * The edge drops idle connections after a moment (see caddy.ts), so that what is left is in use.
 *
 * @returns how many connections are left
 */
export async function drain(engine: DockerEngine, draining: Draining): Promise<number> {
  const { edge, addresses, seconds, followers, release } = draining;
  const old = addresses.filter((address) => address !== "").map(hexadecimal);
  if (old.length === 0) return 0;
  const open = `^ *[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]*(${old.join("|")}):[0-9A-F]{4} ${ESTABLISHED} `;
  const places = followers.map((address) => `http://${address}:${EDGES_PORT}${EDGES_PATH}`);
  const args = [open, String(seconds * POLLS_A_SECOND), release, ...places];
  const wait = ["exec", edge, "sh", "-c", WAIT, "sh", ...args];
  return Number((await engine.docker(wait, { timeoutSeconds: seconds + 60 })).trim());
}

const ESTABLISHED = "01";
const POLLS_A_SECOND = 5;
/**
 * In the edge, for each command costs more than a look. Of grep 1 alone means that it has found nothing. A follower tells the
 * release that it led to when it looked, then what it saw.
 */
export const WAIT = `
open=$1 most=$2 release=$3; shift 3
count() { grep -Ec "$open" || [ $? = 1 ]; }
left() {
  [ -r /proc/net/tcp ] || return
  sum=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | count) || return
  for place; do
    told=$(timeout 2 wget -q -O - "$place" 2>/dev/null)
    of=1
    if [ "$(printf '%s\\n' "$told" | head -n 1)" = "$release" ]; then of=$(printf '%s\\n' "$told" | count) || return; fi
    sum=$((sum + of))
  done
  echo "$sum"
}
polls=0
while left=$(left "$@") || exit 1; [ "$left" != 0 ] && [ "$polls" -lt "$most" ]; do sleep 0.2; polls=$((polls + 1)); done
echo "$left"`;

/** An IPv4 address as /proc/net/tcp has it: the kernel writes it in the order of its own bytes, the last one first. */
export function hexadecimal(address: string): string {
  const bytes = address.split(".").map((each) => Number(each).toString(16).padStart(2, "0"));
  return bytes.reverse().join("").toUpperCase();
}
