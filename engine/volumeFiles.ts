import { DATA_FILES } from "../freshness/container/database";
import type { DockerEngine } from "./docker";
import { EDGE_IMAGE } from "./edgeNames";
import type { ContainerFacts } from "./facts";

/** What to look for in volumes. */
export interface VolumeSearch {
  /** Names of volumes that may hold a database's data. */
  readonly data: readonly string[];
  /** Anonymous volumes → creation time of their container, in seconds since 1970. Files written later count. */
  readonly anonymous: ReadonlyMap<string, number>;
}

/** Volume → the paths found, relative to it; at most eleven of an anonymous volume. */
export type FoundFiles = ReadonlyMap<string, readonly string[]>;

/** Looks into all volumes in one container of the edge's image, which mounts them read-only. */
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

/**
 * Anonymous volumes of a container: the engine creates one for each VOLUME of the image, and removes it with
 * the container.
 */
export function anonymousVolumes({ mounts }: Pick<ContainerFacts, "mounts">) {
  return mounts.filter(({ kind, source }) => kind === "volume" && /^[0-9a-f]{64}$/.test(source));
}
