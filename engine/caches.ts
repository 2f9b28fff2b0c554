import { type DockerEngine, quote } from "./docker";
import { EDGE_IMAGE } from "./edgeNames";
import { EngineError, NO_PATH } from "./problems";

/** A folder that a service fills while it runs. */
export interface CachePath {
  readonly service: string;
  readonly container: string;
  /** In the container. */
  readonly path: string;
}

/** What is in it. */
export interface CacheFacts extends CachePath {
  /** As an archive of it has them; 0 where there is no such folder. */
  readonly bytes: number;
  /** The volume that holds it, and where in that; absent where it is the container's own. */
  readonly volume?: { readonly name: string; readonly path: string };
}

/** Measures caches without a program in the container. */
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

/** An archive that has nothing in it but the folder itself. */
const EMPTY_ARCHIVE = 2048;

async function sizeOf(engine: DockerEngine, { container, path }: CachePath): Promise<number> {
  const copy = `docker cp ${quote(`${container}:${path}`)} - | wc -c`;
  const { stdout, stderr } = await engine.script(copy);
  // Of a pipe only the end's status is known: what the copy failed with is in its words.
  if (/^error/im.test(stderr) && !NO_PATH.test(stderr)) throw new EngineError(stderr.trim());
  return Math.max(0, Number(stdout) - EMPTY_ARCHIVE);
}

/**
 * Empties a folder of a volume; what is in a container's own files goes with the container.
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

/** What the engine keeps on disk, by kind, in its own words. */
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
