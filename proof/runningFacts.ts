import type { DockerEngine } from "../engine/docker";
import type { ContainerFacts, FileChange } from "../engine/facts";
import { ignoreMissing } from "../engine/problems";
import { type Bytes, readTar } from "../engine/tarFiles";
import { startEarly } from "../engine/until";
import { isRuntimeFolder } from "../freshness/container";
import { type Ending, hasEnded } from "../freshness/container/ended";
import { type Covered, mountsToJudge } from "../freshness/container/mounts";
import { isServerFile } from "../freshness/container/serverFiles";
import type { KeptImage } from "../freshness/image/kept";
import type { Deployment } from "./deployment";
import { createProbe } from "./imageFiles";

/** The engine's facts about a deployed service. */
export interface RunningFacts {
  readonly container: ContainerFacts | undefined;
  /** How it last ended; absent if it never ended. */
  readonly ending?: Ending;
  /** The engine's images of the image's and the tag's name. */
  readonly images: readonly KeptImage[];
  /** Differences from the container's image; empty for a missing or a read-only container. */
  readonly changes: readonly FileChange[];
  /** Command lines of its processes, read only if a server may have made changes. */
  readonly commands: readonly string[];
  /** Its mounts, with the image's files below them. */
  readonly covered: readonly Covered[];
  /** All running containers in its networks. */
  readonly neighbours: readonly ContainerFacts[];
}

const MINUTES = 10;

/** Reads all services' facts at once, in parallel: each question costs a process or a login. */
export async function readRunning(
  engine: DockerEngine,
  { services, edge, network }: Pick<Deployment, "services" | "edge" | "network">,
): Promise<RunningFacts[]> {
  const names = services.flatMap(({ container, image, tag }) => [container, image, ...(tag ? [tag] : [])]);
  const reading = startEarly(engine.now());
  const [{ containers: known, images }, members] = await Promise.all([
    engine.inspect([...names, edge]),
    engine.containersIn([network]),
  ]);
  const own = services.map(({ container, image }) => ({
    image,
    container: known.find(({ id }) => id === container),
  }));
  const [neighbours, read, endings] = await Promise.all([
    readNeighbours(engine, known, network, members),
    Promise.all(
      own.map(async ({ image, container }) => {
        // Nothing can be read from a missing image; its absence is reported.
        const isKept = images.some(({ id }) => id === image);
        const [changes, covered] = await Promise.all([
          readChanges(engine, container),
          container?.running && container.image === image && isKept ? readCovered(engine, container) : [],
        ]);
        return { container, ...changes, covered };
      }),
    ),
    readEndings(
      engine,
      own.map(({ container }) => container),
      reading,
    ),
  ]);
  return read.map((each, at) => ({ ...each, ending: endings[at], images, neighbours }));
}

/** Reads the changes in a container; the engine walks all files of the image for that. */
async function readChanges(
  engine: DockerEngine,
  container: ContainerFacts | undefined,
): Promise<Pick<RunningFacts, "changes" | "commands">> {
  if (!container || container.readOnly) return { changes: [], commands: [] };
  const changes = (await engine.changedFiles(container.id).catch(ignoreMissing)) ?? [];
  const asks = changes.some(({ path }) => !isRuntimeFolder(path) && isServerFile(path));
  return { changes, commands: asks ? await readCommands(engine, container.id) : [] };
}

/** Command lines of a container's processes, and its start command. */
async function readCommands(engine: DockerEngine, id: string): Promise<string[]> {
  const format = "{{.Path}} {{range .Args}}{{.}} {{end}}";
  // The engine's machine may have no ps.
  const [started, running] = await Promise.all([
    engine.docker(["container", "inspect", "--format", format, id]).catch(ignoreMissing),
    engine.docker(["container", "top", id, "-eo", "pid,args"]).catch(() => ""),
  ]);
  return [...(started ?? "").split("\n"), ...running.split("\n").slice(1)];
}

/** An older kill says little about the program as it runs now. */
const KILLS_MS = 10 * 60 * 1000;

/**
 * How containers ended, in their order; undefined for one that keeps running. The kernel may also kill a child of a
 * program that goes on, such as a worker of Gunicorn: the engine counts no restart then.
 *
 * @param reading the engine's clock, asked for beside the containers: over a link each question waits
 */
export async function readEndings(
  engine: DockerEngine,
  containers: readonly (ContainerFacts | undefined)[],
  reading: Promise<number>,
): Promise<(Ending | undefined)[]> {
  const alive = containers.flatMap((each) => (each?.running && !hasEnded(each.restarts) ? [each] : []));
  const now = alive.length === 0 ? 0 : await reading;
  const since = Math.max(now - KILLS_MS, Math.min(...alive.map(({ created }) => created)));
  const kills = await engine.oomKills(
    alive.map(({ id }) => id),
    since,
    now,
  );
  return Promise.all(
    containers.map(async (container) => {
      if (!container) return undefined;
      const childKills = kills.get(container.id);
      if (!hasEnded(container.restarts) && childKills === undefined) return undefined;
      return { ...(await readEnding(engine, container)), childKills };
    }),
  );
}

/** How a container last ended, and its log. The inspected exit code is 0 once it runs again. */
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

/** Containers in the release's network and in any other network of its containers. */
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
 * Lists the image's files at each mount point. It reads them from a container without mounts that never starts, because
 * a copy from the running one would show the mounted files. A container without mounts costs nothing.
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

/** Files at or below a path of a container, with paths relative to it; no folders. */
async function listFiles(engine: DockerEngine, container: string, path: string): Promise<string[]> {
  const names = async (output: Bytes) => {
    const found: string[] = [];
    for await (const { name, kind } of readTar(output)) if (kind !== "other") found.push(belowFirst(name));
    return found;
  };
  return (await engine.archive(container, path, names, { timeoutSeconds: MINUTES * 60 })) ?? [];
}

/**
 * `src/lib/a.py` → `lib/a.py`: paths in an archive begin with the last part of the requested path, unless that is a
 * file.
 */
function belowFirst(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name : name.slice(slash + 1);
}
