import { ASSETS_FOLDER } from "./caddy";
import { type DockerEngine, quote } from "./docker";
import { NO_PATH } from "./problems";
import type { DeployedService } from "./prove";

/** One build's assets never change: they are kept under its name. */
export interface KeptAssets {
  readonly edge: string;
  /** Names the build that runs. */
  readonly release: string;
  /** All that are kept, that one included. */
  readonly releases: readonly string[];
  readonly services: readonly DeployedService[];
}

/**
 * Puts the hashed assets of the release that runs beside those of the releases before, and forgets those of releases that
 * are not kept any more: a page that was loaded before a deploy finds its own.
 *
 * They are copied from the running containers, which are proven to be as their images are. A folder that an image lacks
 * has no assets.
 *
 * @returns how many files are served now
 */
export async function keepAssets(engine: DockerEngine, kept: KeptAssets): Promise<number> {
  const { edge, release, releases, services } = kept;
  const folders = services.flatMap(({ service, container }) =>
    Object.entries(service.assets).map(([path, folder]) => ({ path, folder, container })),
  );
  if (folders.length === 0) return 0;
  const into = (script: string, ...args: string[]) =>
    ["docker", "exec", "-i", edge, "sh", "-euc", script, "sh", ...args].map(quote).join(" ");
  const own = `${ASSETS_FOLDER}/kept/${release}`;
  const copies = folders.map(
    ({ path, folder, container }) =>
      `copy ${quote(`${container}:${folder}/.`)} && ${into(EXTRACT, `${own}${path}`)} < "$tar"`,
  );
  // All of it on the engine's machine: over ssh nothing but the commands goes over the line.
  const script = [
    COPY,
    ...copies.map((copy) => `${copy} || [ "$gone" ]`),
    into(MERGE, ASSETS_FOLDER, ...releases),
  ];
  return Number((await engine.script(script.join("\n"))).stdout);
}

/** Copies a container's folder into the file `$tar`; one that is not there is `$gone`. */
const COPY = `
tar=$(mktemp); trap 'rm -f "$tar" "$tar.said"' EXIT
copy() {
  gone=
  docker cp "$1" - > "$tar" 2> "$tar.said" && return
  grep -Eiq '${NO_PATH.source}' "$tar.said" && gone=1 || cat "$tar.said" >&2
  return 1
}`;

/** As root without the capability to give files away. */
const EXTRACT = 'mkdir -p "$1"; cd "$1"; tar -xof -';

/** Links the kept releases' files into one new folder, leads the edge there, and removes what is kept no more. */
const MERGE = `
cd "$1"; shift
new=served-$(date +%s)-$$
mkdir "$new"
for each in "$@"; do if [ -d "kept/$each" ]; then cp -alf "kept/$each/." "$new/"; fi; done
printf %s "$PWD/$new" > root.new
mv root.new root
for each in served-*; do [ "$each" = "$new" ] || rm -rf "$each"; done
for each in kept/*; do
  keep=; for one in "$@"; do [ "kept/$one" != "$each" ] || keep=1; done
  [ -n "$keep" ] || rm -rf "$each"
done
find "$new" -type f | wc -l
`;
