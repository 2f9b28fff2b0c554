import type { DockerEngine } from "./docker";
import { ASSETS_FOLDER, CADDYFILE } from "./edgeNames";
import { EngineError, ignoreMissing } from "./problems";

/** What the edge serves: its configuration, and the release named in the configuration's release file. */
export interface EdgeState {
  readonly caddyfile: string;
  readonly releaseFile: string;
  readonly release: string;
  /** The configuration for followers, and the file that holds it. */
  readonly followers?: { readonly file: string; readonly caddyfile: string };
}

/** Files with the memory limit of a container, by version of cgroups. */
export const LIMITS = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes";

/** Tells the edge's memory limit and the machine's memory, each in bytes in a line; the first is `max` without a limit. */
const READ_MEMORY = `cat ${LIMITS} 2> /dev/null | head -n 1; while read -r name kib _; do [ "$name" != MemTotal: ] || echo "$((kib * 1024))"; done < /proc/meminfo`;

/** The memory of a running edge. */
export interface EdgeMemory {
  /** Its limit in MiB; absent if it has none or if it is unknown. */
  readonly memoryMb?: number;
  /** The machine's memory in bytes; absent if it is unknown. */
  readonly machine?: number;
}

/** Reads what `READ_MEMORY` said. */
export function parseMemory(said: string): EdgeMemory {
  const [limit = "", machine = ""] = said.trim().split("\n");
  // Without a limit an engine with cgroup v1 says a number beyond any memory.
  const bytes = /^\d{1,15}$/.test(limit) ? Number(limit) : undefined;
  return {
    memoryMb: bytes === undefined ? undefined : Math.round(bytes / 1024 ** 2),
    machine: /^\d+$/.test(machine) ? Number(machine) : undefined,
  };
}

/** The sum of the configuration that Caddy had when it was last given one. Edges of earlier versions have none until then. */
const LOADED = "/edge/loaded";
/** The configuration while it is loaded. */
const NEXT = `${CADDYFILE}.next`;
/** Prints the sum of the configuration that Caddy has, whatever its file says. While Caddy starts it has none, `null`; it names its file. */
const RUNNING = `running() { json=$(wget -q -O - http://localhost:2019/config/ 2> /dev/null) && [ "$json" != null ] && printf %s "$json" | sed 's#${NEXT}#${CADDYFILE}#g' | sha256sum; }`;
const LOAD = `${RUNNING}
cat > ${NEXT} && caddy reload --config ${NEXT} --adapter caddyfile && mv ${NEXT} ${CADDYFILE} || exit
running > ${LOADED}.new && mv ${LOADED}.new ${LOADED} || rm -f ${LOADED}`;
/** Says whether Caddy has another configuration than it was given. A deploy may be between the two steps above. */
const CHANGED = `changed() { [ -s ${LOADED} ] && now=$(running) && [ "$now" != "$(cat ${LOADED})" ]; }
! changed || { sleep 1; ! changed || printf changed; }`;

/**
 * Gives a running edge its configuration. A kill at any moment does not let a configuration count as served that is not: the edge's
 * file has it only once Caddy has it, and the sum tells whether Caddy has what the file says.
 */
export async function loadCaddyfile(engine: DockerEngine, edge: string, caddyfile: string): Promise<void> {
  await engine.docker(["exec", "-i", edge, "sh", "-c", LOAD], { input: caddyfile });
}

const READ = `${RUNNING}
cat ${CADDYFILE}; file=$(grep -o '/edge/release-[0-9a-f]*' ${CADDYFILE} | head -n 1); printf '\\0'; [ -z "$file" ] || cat "$file"; printf '\\0'; ls ${ASSETS_FOLDER}/kept 2> /dev/null; printf '\\0'; ${READ_MEMORY}; printf '\\0'
${CHANGED}`;

/** Content of the edge's volume. */
export interface EdgeFiles {
  /** What the edge serves; undefined before the first release. */
  readonly state?: EdgeState;
  /** The builds with kept assets. */
  readonly kept: readonly string[];
  readonly memory: EdgeMemory;
  /** Whether Caddy has another configuration than the one that it was given. */
  readonly isChanged?: boolean;
}

/** Reads the content of the edge's volume. */
export async function readEdge(engine: DockerEngine, edge: string): Promise<EdgeFiles> {
  const said = await engine.docker(["exec", edge, "sh", "-c", READ]).catch(ignoreMissing);
  if (said === undefined)
    throw new EngineError(
      'the container of the edge is gone from the engine; deploy again with "--refresh", which creates it again',
    );
  const [file = "", release = "", kept = "", memory = "", changed] = said.split("\0");
  const isChanged = changed === "changed";
  // No deploy asks for this text: it loads its own.
  const current = isChanged ? `${file}# Caddy has another configuration.\n` : file;
  const releaseFile = /\{file\.(\/edge\/release-[0-9a-f]+)\}/.exec(current)?.[1];
  const isLed = releaseFile !== undefined && release !== "";
  return {
    state: isLed ? { caddyfile: current, releaseFile, release } : undefined,
    kept: kept.split("\n").filter((name) => name !== ""),
    memory: parseMemory(memory),
    isChanged,
  };
}

/** The release that the edge serves; undefined if it serves none or does not run. */
export async function ledRelease(engine: DockerEngine, edge: string): Promise<string | undefined> {
  try {
    return (await readEdge(engine, edge)).state?.release;
  } catch (cause) {
    if (cause instanceof EngineError) return undefined;
    throw cause;
  }
}

/** Begins what answers 503 in the edge's configuration. */
export const MAINTENANCE = "\t# maintenance begins\n";

/** Whether an edge's configuration answers 503. */
export function isMaintenance(caddyfile: string): boolean {
  return caddyfile.includes(MAINTENANCE);
}
