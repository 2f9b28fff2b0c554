import { quote } from "./cli";
import type { DockerEngine } from "./docker";
import { EDGE_IMAGE } from "./edgeNames";
import { EngineError, NO_PATH } from "./problems";

/** A cache folder that a service fills at run time. */
export interface CachePath {
  readonly service: string;
  readonly container: string;
  /** In the container. */
  readonly path: string;
}

/** Its content. */
export interface CacheFacts extends CachePath {
  /** Size of a tar archive of it; 0 if the folder does not exist. */
  readonly bytes: number;
  /** The volume that holds it, and the path within; absent if the container's own file system holds it. */
  readonly volume?: { readonly name: string; readonly path: string };
}

/** Measures caches without running a program in the container. */
export async function measureCaches(
  engine: DockerEngine,
  paths: readonly CachePath[],
): Promise<CacheFacts[]> {
  const containers = await engine.inspectContainers(paths.map(({ container }) => container));
  return Promise.all(
    paths.map(async (cache) => {
      const mounts = containers.find(({ id }) => id === cache.container)?.mounts ?? [];
      const mount = mounts.find(
        ({ kind, destination }) => kind === "volume" && `${cache.path}/`.startsWith(`${destination}/`),
      );
      const bytes = await sizeOf(engine, cache);
      if (mount === undefined) return { ...cache, bytes };
      const path = cache.path.slice(mount.destination.length).replace(/^\//, "");
      return { ...cache, bytes, volume: { name: mount.source, path } };
    }),
  );
}

/** Size of an archive of an empty folder. */
const EMPTY_ARCHIVE = 2048;

async function sizeOf(engine: DockerEngine, { container, path }: CachePath): Promise<number> {
  const copy = `docker cp ${quote(`${container}:${path}`)} - | wc -c`;
  const { stdout, stderr } = await engine.script(copy);
  // A pipe reports only the last command's status. The failure of the copy is in its output.
  if (/^error/im.test(stderr) && !NO_PATH.test(stderr)) throw new EngineError(stderr.trim());
  return Math.max(0, Number(stdout) - EMPTY_ARCHIVE);
}

/**
 * Empties a folder of a volume. Files of a container's own file system go with the container.
 *
 * @returns how many files are left
 */
export async function emptyVolume(
  engine: DockerEngine,
  { name, path }: NonNullable<CacheFacts["volume"]>,
): Promise<number> {
  const script = 'cd "$1" || exit 0; find . -mindepth 1 -delete; find . -mindepth 1 | wc -l';
  const mount = ["--volume", `${name}:/volume`, "--network", "none"];
  const run = ["run", "--rm", ...mount, EDGE_IMAGE, "sh", "-c", script, "sh", `/volume/${path}`];
  return Number((await engine.docker(run, { timeoutSeconds: 300 })).trim());
}

/** One row of `docker system df`. */
export interface DiskUse {
  readonly what: string;
  readonly count: string;
  readonly size: string;
  readonly reclaimable: string;
}

/** Disk usage of the engine by kind, in the engine's notation. */
export async function diskUse(engine: DockerEngine): Promise<DiskUse[]> {
  const format = "{{.Type}}\t{{.TotalCount}}\t{{.Size}}\t{{.Reclaimable}}";
  const table = await engine.docker(["system", "df", "--format", format], { timeoutSeconds: 120 });
  return table
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [what = "", count = "", size = "", reclaimable = ""] = line.split("\t");
      return { what, count, size, reclaimable };
    });
}
