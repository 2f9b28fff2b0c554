import { ASSETS_FOLDER } from "./caddy";
import { type DockerEngine, quote } from "./docker";
import { NO_PATH } from "./problems";
import type { Deployment } from "./prove";

/**
 * Copies the hashed assets of a build, which never change, into the edge under its name. It does not serve them yet.
 *
 * They are copied from the release's containers, which are proven to be as their images are before anything is served. A
 * folder that an image lacks has no assets.
 */
export async function storeAssets(
  engine: DockerEngine,
  { edge, services }: Pick<Deployment, "edge" | "services">,
  build: string,
): Promise<void> {
  const copies = services.flatMap(({ service, container }) =>
    Object.entries(service.assets).map(([path, folder]) => {
      const into = inEdge(edge, EXTRACT, `${ASSETS_FOLDER}/kept/${build}${path}`);
      return `copy ${quote(`${container}:${folder}/.`)} && ${into} < "$tar" || [ "$gone" ]`;
    }),
  );
  if (copies.length === 0) return;
  // Also of a build without any, so that it is not taken for one whose assets are lost.
  const begin = inEdge(edge, 'mkdir -p "$1"', `${ASSETS_FOLDER}/kept/${build}`);
  // All of it on the engine's machine: over ssh nothing but the commands goes over the line.
  await engine.script([COPY, begin, ...copies].join("\n"));
}

/**
 * Serves the assets of builds that were stored, all together, and forgets those of others: a page that was loaded before a
 * deploy finds its own.
 *
 * @returns how many files are served now
 */
export async function serveAssets(
  engine: DockerEngine,
  { edge, services }: Pick<Deployment, "edge" | "services">,
  builds: readonly string[],
): Promise<number> {
  if (services.every(({ service }) => Object.keys(service.assets).length === 0)) return 0;
  return Number((await engine.script(inEdge(edge, MERGE, ASSETS_FOLDER, ...builds))).stdout);
}

/** A shell's command that runs a script in the edge. */
function inEdge(edge: string, script: string, ...args: string[]): string {
  return ["docker", "exec", "-i", edge, "sh", "-euc", script, "sh", ...args].map(quote).join(" ");
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

/** Links the kept builds' files into one new folder, leads the edge there, and removes what is kept no more. */
const MERGE = `
mkdir -p "$1"; cd "$1"; shift
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
