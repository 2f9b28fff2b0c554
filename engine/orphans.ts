import { hostname } from "node:os";
import type { DockerEngine } from "./docker";
import { ignoreMissing } from "./problems";

/** Names whose process a container of no release serves: it goes when that ends, and is left where that is killed. */
export const OWNER_LABEL = "watch-party.owner";

/** This process, as the owner of a container. */
export function owner(): string {
  return `${hostname()}:${process.pid}`;
}

/** What a deploy makes on one engine, and on a Swarm, in the order in which it can be removed: what is used goes last. */
const KINDS = {
  engine: ["container", "network"],
  swarm: ["service", "container", "secret", "network"],
} as const;

/** Something of a stack on the engine, or on the Swarm whose manager it is. */
export interface Found {
  readonly kind: (typeof KINDS)["swarm"][number];
  readonly id: string;
  /** Of a network. */
  readonly name?: string;
}

/** What the engine, or the Swarm whose manager it is, has of a stack that the given ids are not. */
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

/** Removes what a deploy that was killed has left. */
export async function removeOrphans(engine: DockerEngine, orphans: readonly Found[]): Promise<void> {
  for (const kind of KINDS.swarm) {
    const ids = orphans.filter((each) => each.kind === kind).map(({ id }) => id);
    const flags = kind === "container" ? ["--force", "--volumes"] : [];
    if (ids.length > 0) await engine.docker([kind, "rm", ...flags, ...ids]).catch(ignoreMissing);
  }
}

/** Removes containers of processes of this machine that were killed before they could. */
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
