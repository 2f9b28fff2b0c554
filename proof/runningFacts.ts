import type { ContainerFacts, DockerEngine, FileChange } from "../engine/docker";
import { ignoreMissing } from "../engine/problems";
import { type Bytes, readTar } from "../engine/tarFiles";
import { isRuntimeFolder } from "../freshness/container";
import { type Ending, hasEnded } from "../freshness/container/ended";
import { type Covered, mountsToJudge } from "../freshness/container/mounts";
import { isServerFile } from "../freshness/container/serverFiles";
import type { KeptImage } from "../freshness/image/kept";
import type { Deployment } from "./deployment";
import { createProbe } from "./imageFiles";

/** What the engine says of a service that was deployed. */
export interface RunningFacts {
  readonly container: ContainerFacts | undefined;
  /** How it ended; absent for one that never did. */
  readonly ending?: Ending;
  /** What the engine has of the image's and the tag's name. */
  readonly images: readonly KeptImage[];
  /** What differs from the container's image; empty for one that is gone, and for one in which nothing can be changed. */
  readonly changes: readonly FileChange[];
  /** The command lines of its processes, where it has changes that a server may have made. */
  readonly commands: readonly string[];
  /** What is mounted over what. */
  readonly covered: readonly Covered[];
  /** All that run in networks with it. */
  readonly neighbours: readonly ContainerFacts[];
}

const MINUTES = 10;

/** Asks the engine about all services at once, and all questions side by side: each costs a process, or a login. */
export async function readRunning(
  engine: DockerEngine,
  { services, edge, network }: Pick<Deployment, "services" | "edge" | "network">,
): Promise<RunningFacts[]> {
  const names = services.flatMap(({ container, image, tag }) => [container, image, ...(tag ? [tag] : [])]);
  const { containers: known, images, members } = await engine.inspect([...names, edge, network]);
  const containers = services.map(({ container }) => known.find(({ id }) => id === container));
  const [neighbours, changes, covered, endings] = await Promise.all([
    readNeighbours(engine, known, network, members),
    Promise.all(containers.map((container) => readChanges(engine, container))),
    Promise.all(
      services.map(({ image }, at) => {
        const container = containers[at];
        // From an image that is gone nothing can be read; that it is gone is told.
        const isKept = images.some(({ id }) => id === image);
        return container?.running && container.image === image && isKept
          ? readCovered(engine, container)
          : [];
      }),
    ),
    Promise.all(
      containers.map((container) =>
        container && hasEnded(container.restarts) ? readEnding(engine, container) : undefined,
      ),
    ),
  ]);
  return services.map((_, at) => ({
    container: containers[at],
    ending: endings[at],
    ...changes[at]!,
    covered: covered[at] ?? [],
    images,
    neighbours,
  }));
}

/** Asks what was changed in a container; the engine walks all files of the image to tell. */
async function readChanges(
  engine: DockerEngine,
  container: ContainerFacts | undefined,
): Promise<Pick<RunningFacts, "changes" | "commands">> {
  if (!container || container.readOnly) return { changes: [], commands: [] };
  const changes = (await engine.changedFiles(container.id).catch(ignoreMissing)) ?? [];
  const asks = changes.some(({ path }) => !isRuntimeFolder(path) && isServerFile(path));
  return { changes, commands: asks ? await readCommands(engine, container.id) : [] };
}

/** The command lines of a container's processes, and the one that it was started with. */
async function readCommands(engine: DockerEngine, id: string): Promise<string[]> {
  const format = "{{.Path}} {{range .Args}}{{.}} {{end}}";
  // The engine's machine may have no ps.
  const [started, running] = await Promise.all([
    engine.docker(["container", "inspect", "--format", format, id]).catch(ignoreMissing),
    engine.docker(["container", "top", id, "-eo", "pid,args"]).catch(() => ""),
  ]);
  return [...(started ?? "").split("\n"), ...running.split("\n").slice(1)];
}

/** How a container ended the last time, and what it printed: inspected while it runs again, its exit code is 0. */
export async function readEnding(
  engine: DockerEngine,
  { id, restarts, created }: ContainerFacts,
): Promise<Ending> {
  const [last, log] = await Promise.all([
    engine.lastExit(id, created).catch(ignoreMissing),
    engine.lastLines("container", id).catch(ignoreMissing),
  ]);
  return {
    ...restarts,
    exitCode: restarts.exitCode ?? last?.exitCode,
    oomKilled: restarts.oomKilled || last?.oomKilled,
    log: log ?? [],
  };
}

/** All that run in the release's network and in any other network of its containers, those included. */
async function readNeighbours(
  engine: DockerEngine,
  known: readonly ContainerFacts[],
  network: string,
  inNetwork: readonly string[],
): Promise<ContainerFacts[]> {
  const others = known.flatMap(({ networks }) => networks.filter(({ name }) => name !== network));
  const ids = [...inNetwork, ...(await engine.containersIn(others.map(({ id }) => id)))];
  const unknown = ids.filter((id) => !known.some((each) => each.id === id));
  return [...known, ...(await engine.inspectContainers(unknown))];
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
  return (await engine.archive(container, path, names, { timeoutSeconds: MINUTES * 60 })) ?? [];
}

/** `src/lib/a.py` → `lib/a.py`: an archive's names begin with what was asked for, unless that is a file itself. */
function belowFirst(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name : name.slice(slash + 1);
}
