import { type Covered, mountsToJudge } from "../freshness/container/mounts";
import type { KeptImage } from "../freshness/image/kept";
import type { ContainerFacts, DockerEngine, FileChange } from "./docker";
import { createProbe, ignoreNoPath } from "./imageFiles";
import type { DeployedService } from "./prove";
import { type Bytes, readTar } from "./tarFiles";

/** What the engine says of a service that was deployed. */
export interface RunningFacts {
  readonly container: ContainerFacts | undefined;
  /** What the engine has of the image's and the tag's name. */
  readonly images: readonly KeptImage[];
  /** What differs from the image; empty unless the container runs, from that image. */
  readonly changes: readonly FileChange[];
  /** What is mounted over what. */
  readonly covered: readonly Covered[];
  /** All that run in networks with it. */
  readonly neighbours: readonly ContainerFacts[];
}

const MINUTES = 10;

/** Asks the engine about all services at once: its answers take longer than the questions. */
export async function readRunning(
  engine: DockerEngine,
  services: readonly DeployedService[],
): Promise<RunningFacts[]> {
  const [containers, images] = await Promise.all([
    engine.inspectContainers(services.map(({ container }) => container)),
    engine.inspectImages(services.flatMap(({ image, tag }) => (tag === undefined ? [image] : [image, tag]))),
  ]);
  const [neighbours, rest] = await Promise.all([
    readNeighbours(engine, containers),
    Promise.all(
      services.map(async ({ container: id, image }) => {
        const container = containers.find((each) => each.id === id);
        const asDeployed = container?.running && container.image === image;
        if (!asDeployed) return { container, changes: [], covered: [] };
        const kept = images.some((each) => each.id === image);
        const [changes, covered] = await Promise.all([
          engine.changedFiles(id),
          // From an image that is gone nothing can be read; that it is gone is told.
          kept ? readCovered(engine, container) : [],
        ]);
        return { container, changes, covered };
      }),
    ),
  ]);
  return rest.map((each) => ({ ...each, images, neighbours }));
}

/** All that run in the networks of some containers, those included. */
async function readNeighbours(
  engine: DockerEngine,
  containers: readonly ContainerFacts[],
): Promise<ContainerFacts[]> {
  const ids = await engine.containersIn(
    containers.flatMap(({ networks }) => networks.map((network) => network.id)),
  );
  const unknown = ids.filter((id) => !containers.some((each) => each.id === id));
  return [...containers, ...(await engine.inspectContainers(unknown))];
}

/**
 * Lists what the image holds where something is mounted, from a container that is never started and has no mounts:
 * what is copied out of the running one would be what is mounted. A container without mounts costs nothing.
 */
async function readCovered(engine: DockerEngine, container: ContainerFacts): Promise<Covered[]> {
  const mounts = mountsToJudge(container.mounts);
  if (mounts.length === 0) return [];
  const probe = await createProbe(engine, container.image, []);
  try {
    return await Promise.all(
      mounts.map(async (mount) => ({ mount, files: await listFiles(engine, probe, mount.destination) })),
    );
  } finally {
    await engine.removeTemporary([probe]);
  }
}

/** The files at or below a path of a container, by their names below it; folders are none. */
async function listFiles(engine: DockerEngine, container: string, path: string): Promise<string[]> {
  const names = async (output: Bytes) => {
    const found: string[] = [];
    for await (const { name, kind } of readTar(output)) if (kind !== "other") found.push(belowFirst(name));
    return found;
  };
  const copy = ["container", "cp", "--follow-link", `${container}:${path}`, "-"];
  const found = await engine.stream(copy, names, { timeoutSeconds: MINUTES * 60 }).catch(ignoreNoPath);
  return found ?? [];
}

/** `src/lib/a.py` → `lib/a.py`: an archive's names begin with what was asked for, unless that is a file itself. */
function belowFirst(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name : name.slice(slash + 1);
}
