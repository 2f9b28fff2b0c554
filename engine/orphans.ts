import { hostname } from "node:os";
import type { DockerEngine } from "./docker";
import { ignoreMissing } from "./problems";

/**
 * Label with the process that a temporary container serves. The container is removed when that process ends,
 * or later if it was killed.
 */
export const OWNER_LABEL = "watch-party.owner";

/** Label value of this process. */
export function owner(): string {
  return `${hostname()}:${process.pid}`;
}

/** The kinds of objects that a deploy creates, in the order of removal: an object comes before what it uses. */
const KINDS = {
  engine: ["container", "network"],
  swarm: ["service", "container", "secret", "network"],
} as const;

/** An object of a stack on the engine or its Swarm. */
export interface Found {
  readonly kind: (typeof KINDS)["swarm"][number];
  readonly id: string;
  /** The networks' field. */
  readonly name?: string;
}

/** Lists the stack's objects on the engine and its Swarm, except the given IDs. */
export async function strangers(
  engine: DockerEngine,
  stack: string,
  { known, isSwarm }: { readonly known: readonly string[]; readonly isSwarm: boolean },
): Promise<Found[]> {
  const label = `watch-party.stack=${stack}`;
  const list = async (kind: Found["kind"]) => {
    const found: { readonly id: string; readonly name?: string }[] =
      kind === "container"
        ? await engine.listContainers([label], { all: true })
        : await engine.listLabelled(kind, label);
    return found.filter(({ id }) => !known.includes(id)).map(({ id, name }) => ({ kind, id, name }));
  };
  return (await Promise.all(KINDS[isSwarm ? "swarm" : "engine"].map(list))).flat();
}

/** Removes what a killed deploy has left. */
export async function removeOrphans(engine: DockerEngine, orphans: readonly Found[]): Promise<void> {
  for (const kind of KINDS.swarm) {
    const ids = orphans.filter((each) => each.kind === kind).map(({ id }) => id);
    const flags = kind === "container" ? ["--force", "--volumes"] : [];
    if (ids.length > 0) await engine.docker([kind, "rm", ...flags, ...ids]).catch(ignoreMissing);
  }
}

/** Removes temporary containers of killed processes of this machine. */
export async function removeAbandoned(engine: DockerEngine): Promise<void> {
  const listed = await engine.listContainers([OWNER_LABEL], { all: true });
  const abandoned = listed.flatMap(({ id, labels: { [OWNER_LABEL]: of = "" } }) => {
    const at = of.lastIndexOf(":");
    return of.slice(0, at) === hostname() && !exists(Number(of.slice(at + 1))) ? [id] : [];
  });
  if (abandoned.length > 0)
    await engine.docker(["container", "rm", "--force", "--volumes", ...abandoned]).catch(ignoreMissing);
}

/** Whether a process of this machine runs. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
