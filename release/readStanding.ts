import type { DockerEngine } from "../engine/docker";
import { ledRelease } from "../engine/edgeFiles";
import { EDGE_IMAGE } from "../engine/edgeNames";
import { type Found, readInventory, stackLabel } from "../engine/inventory";
import { SERVICE_LABEL } from "../freshness/labels";

/** A container of a stack that is not in the stack's state. */
interface StrayContainer {
  readonly id: string;
  readonly name: string;
  /** The label with the name of its service; `edge` for the edge. */
  readonly service: string;
  readonly running: boolean;
  /** Names of the volumes that it mounts. */
  readonly volumes: readonly string[];
  readonly networks: readonly string[];
  /** The release that an edge routes to; undefined if it routes to none. */
  readonly release?: string;
}

/** The differences between the engine and the state of a stack, in both directions. */
export interface Standing {
  readonly containers: readonly StrayContainer[];
  /** Networks, and on a Swarm services and secrets. */
  readonly others: readonly Pick<Found, "kind" | "id" | "name">[];
  /** The volumes of the edge. */
  readonly volumes: readonly string[];
  /** IDs in the state that the engine does not have. */
  readonly missing: readonly string[];
}

/**
 * Compares the engine with a stack's state.
 * @param known the IDs in the state
 */
export async function readStanding(
  engine: DockerEngine,
  stack: string,
  { known, isSwarm }: { readonly known: readonly string[]; readonly isSwarm: boolean },
): Promise<Standing> {
  const [all, labelled] = await Promise.all([
    readInventory(engine, stack, { isSwarm }),
    engine.listVolumes(stackLabel(stack)),
  ]);
  // Volumes with a service's data do not have this label. They are reused by name, whatever the state has.
  const volumes = labelled.filter(({ labels }) => SERVICE_LABEL in labels).map(({ name }) => name);
  const there = new Set([...all.map(({ id }) => id), ...labelled.map(({ name }) => name)]);
  const stray = all.filter(({ id }) => !known.includes(id));
  return {
    containers: await describe(
      engine,
      stray.filter(({ kind }) => kind === "container"),
    ),
    others: stray.flatMap(({ kind, id, name }) => (kind === "container" ? [] : [{ kind, id, name }])),
    volumes: volumes.filter((name) => !known.includes(name)),
    // A Swarm's network has a different ID on each node.
    missing: isSwarm ? [] : known.filter((id) => !there.has(id)),
  };
}

async function describe(engine: DockerEngine, strays: readonly Found[]): Promise<StrayContainer[]> {
  const found = await engine.inspectContainers(strays.map(({ id }) => id));
  return Promise.all(
    found.map(async ({ id, name, running, mounts, networks }) => {
      const service = strays.find((each) => each.id === id)?.labels[SERVICE_LABEL] ?? "";
      return {
        id,
        name,
        service,
        running,
        volumes: mounts.flatMap(({ kind, source }) => (kind === "volume" ? [source] : [])),
        networks: networks.map((network) => network.name),
        release: service === "edge" && running ? await ledRelease(engine, id) : undefined,
      };
    }),
  );
}

/** Stops and removes containers. Open requests have two seconds to end. */
export async function removeContainers(engine: DockerEngine, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await engine.docker(["container", "stop", "--time", "2", ...ids]);
  await engine.docker(["container", "rm", "--force", "--volumes", ...ids]);
}

/** Removes the empty volumes among these that no container mounts. */
export async function removeEmptyVolumes(
  engine: DockerEngine,
  names: readonly string[],
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of names) {
    const look = ["run", "--rm", "--network", "none", "--volume", `${name}:/looked-at:ro`, EDGE_IMAGE];
    const isEmpty = await engine.docker([...look, "sh", "-c", "ls -A /looked-at"]).then(
      (content) => content.trim() === "",
      () => false,
    );
    // The engine refuses to remove a volume that a container mounts.
    if (
      isEmpty &&
      (await engine.docker(["volume", "rm", name]).then(
        () => true,
        () => false,
      ))
    )
      removed.push(name);
  }
  return removed;
}
