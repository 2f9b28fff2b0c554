import { DATA_FILES } from "../freshness/container/database";
import type { ContainerFacts, DockerEngine } from "./docker";
import { EDGE_IMAGE } from "./edgeNames";

/** What is looked for in volumes. */
export interface VolumeSearch {
  /** Names of volumes in which a database may have its data. */
  readonly data: readonly string[];
  /** Volumes without a name → when their container was made, in seconds since 1970: what was written since is looked for. */
  readonly anonymous: ReadonlyMap<string, number>;
}

/** Volume → the paths that were found in it, relative to it; of those without a name eleven at most. */
export type FoundFiles = ReadonlyMap<string, readonly string[]>;

/** Looks into all volumes at once, in one container of the edge's image that can only read. */
export async function searchVolumes(
  engine: DockerEngine,
  { data, anonymous }: VolumeSearch,
): Promise<FoundFiles> {
  const volumes = [...new Set([...data, ...anonymous.keys()])];
  if (volumes.length === 0) return new Map();
  const names = DATA_FILES.flatMap(({ name }, at) => [
    ...(at === 0 ? [] : ["-o"]),
    "-name",
    `'${name}'`,
  ]).join(" ");
  const script = volumes.flatMap((volume, at) => {
    const since = anonymous.get(volume);
    return [
      `echo "=${at}"; cd /volume/${at}`,
      ...(data.includes(volume) ? [`find . -maxdepth 3 \\( ${names} \\)`] : []),
      ...(since === undefined
        ? []
        : [`touch -d @${since} /tmp/since; find . -type f -newer /tmp/since | head -n 11`]),
    ];
  });
  const mounts = volumes.flatMap((volume, at) => ["--volume", `${volume}:/volume/${at}:ro`]);
  const run = ["run", "--rm", "--network", "none", ...mounts, EDGE_IMAGE, "sh", "-c", script.join("\n")];
  const said = await engine.docker(run, { timeoutSeconds: 120 });
  const found = new Map<string, string[]>(volumes.map((volume) => [volume, []]));
  let current: string[] = [];
  for (const line of said.split("\n")) {
    const [, at] = /^=(\d+)$/.exec(line) ?? [];
    const volume = at === undefined ? undefined : volumes[Number(at)];
    if (volume !== undefined) current = found.get(volume) ?? [];
    else if (line !== "") current.push(line.replace(/^\.\//, ""));
  }
  return found;
}

/** Volumes of a container that nobody named: the engine makes one for each VOLUME of the image, and removes it with the container. */
export function anonymousVolumes({ mounts }: Pick<ContainerFacts, "mounts">) {
  return mounts.filter(({ kind, source }) => kind === "volume" && /^[0-9a-f]{64}$/.test(source));
}
