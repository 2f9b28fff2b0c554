import type { DeployConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { type EdgeMemory, LIMITS } from "../engine/edgeFiles";
import { CADDYFILE } from "../engine/edgeNames";

/** The memory that an edge has at least by default, and that every edge of earlier versions began with, in MiB. */
const LEAST_MEMORY_MB = 256;
const MOST_MEMORY_MB = 2048;

/**
 * The edge's memory if the configuration names none: an eighth of the machine's, within bounds.
 *
 * @param machine its memory in bytes
 * @returns MiB, in steps of 64
 */
export function defaultMemoryMb(machine: number): number {
  const eighth = Math.floor(machine / 8 / 1024 ** 2 / 64) * 64;
  return Math.min(MOST_MEMORY_MB, Math.max(LEAST_MEMORY_MB, eighth));
}

/**
 * The memory that a new edge starts with, in MiB: the configuration's, else the default of the engine's machine.
 *
 * @param engine absent in a preview, which asks none
 */
export async function newEdgeMemoryMb(
  { edgeMemoryMb }: Pick<DeployConfig, "edgeMemoryMb">,
  engine: DockerEngine | undefined,
): Promise<number> {
  if (edgeMemoryMb !== undefined || engine === undefined) return edgeMemoryMb ?? LEAST_MEMORY_MB;
  return defaultMemoryMb((await engine.info()).MemTotal);
}

/** Memory for each open file. Unfinished headers take one file and up to 49 KB, a WebSocket two files and 100 KB. */
const BYTES_A_FILE = 65_536;

export const LIMIT_FILES = `bytes=$(cat ${LIMITS} 2> /dev/null | head -n 1)
case $bytes in *[!0-9]* | '') ;; *) ulimit -n "$((bytes / ${BYTES_A_FILE}))" 2> /dev/null || true;; esac
export GOGC=400`;

/**
 * Starts Caddy, with as many open files as its memory has room for: connections beyond that wait in the kernel. Caddy sets
 * GOMEMLIMIT by the same limit itself; below that, memory is collected a quarter as often as is Go's default.
 */
export const START = `[ -f ${CADDYFILE} ] || printf '%s' "$WAITING" > ${CADDYFILE}
${LIMIT_FILES}
exec caddy run --config ${CADDYFILE} --adapter caddyfile`;

/**
 * Gives a running edge its memory. A changed resource would replace the container and close the public port for a moment.
 *
 * @param asked the configuration's, in MiB; absent: the default of the machine
 * @returns what it has now, in MiB
 * @throws Error where what was asked for cannot be given
 */
export async function giveMemory(
  engine: DockerEngine,
  edge: string,
  asked: number | undefined,
  { memoryMb, machine }: EdgeMemory,
): Promise<number> {
  const wanted = asked ?? (machine === undefined ? undefined : defaultMemoryMb(machine));
  if (wanted === undefined || wanted === memoryMb) return memoryMb ?? wanted ?? LEAST_MEMORY_MB;
  try {
    await engine.docker([
      "container",
      "update",
      "--memory",
      `${wanted}m`,
      "--memory-swap",
      `${wanted}m`,
      edge,
    ]);
    return wanted;
  } catch (cause) {
    // An engine that cannot change it serves all the same.
    if (asked !== undefined) throw cause;
    return memoryMb ?? LEAST_MEMORY_MB;
  }
}
