import type { DockerEngine } from "../engine/docker";
import { EDGES_PATH, EDGES_PORT } from "../engine/edgeNames";

/** The deployment whose open requests are drained. */
export interface Draining {
  readonly edge: string;
  /** IPv4 addresses of the containers that the edge no longer uses; empty ones are skipped. */
  readonly addresses: readonly string[];
  /** Maximum seconds. */
  readonly seconds: number;
  /**
   * Addresses of the followers' reports; a follower that does not serve the release yet may still use the old
   * containers.
   */
  readonly followers: readonly string[];
  readonly release: string;
}

/**
 * Waits until no edge has a connection to the old containers, so that running requests complete whatever the app does
 * at its stop signal. A WebSocket stays open; the app closes it when it stops.
 *
 * The edge closes idle connections soon (see caddy.ts), so that the remaining ones are in use.
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
 * Runs in the edge, because a command costs more than a look. Exit status 1 of grep means no match. A follower reports
 * the release that it served when it looked, then its connections.
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

/** An IPv4 address as in /proc/net/tcp: the kernel writes the bytes in its own order, last one first. */
export function hexadecimal(address: string): string {
  const bytes = address.split(".").map((each) => Number(each).toString(16).padStart(2, "0"));
  return bytes.reverse().join("").toUpperCase();
}
