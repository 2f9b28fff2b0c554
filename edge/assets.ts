import { quote } from "../engine/cli";
import type { DockerEngine } from "../engine/docker";
import { ASSETS_FOLDER } from "../engine/edgeNames";
import { NO_PATH } from "../engine/problems";
import type { Deployment } from "../proof/deployment";

/**
 * Copies a build's hashed assets, which never change, into the edge's volume. The edge does not serve them yet.
 *
 * The source is the release's containers, which are proven to match their images. A folder that an image lacks has no
 * assets.
 */
export async function storeAssets(
  engine: DockerEngine,
  { edge, services }: Pick<Deployment, "edge" | "services">,
  build: string,
): Promise<void> {
  const copies = services.flatMap(({ service, container }) =>
    Object.entries(service.assets).map(([path, folder]) => {
      const into = inEdge(edge, EXTRACT, ASSETS_FOLDER, `kept/${build}${path}`, folder.replace(/\/+$/, ""));
      return `copy ${quote(`${container}:${folder}/.`)} && ${into} < "$tar" || [ "$gone" ]`;
    }),
  );
  if (copies.length === 0) return;
  // Create the folder for a build without assets too, so that its assets do not count as lost.
  const begin = inEdge(edge, 'mkdir -p "$1"', `${ASSETS_FOLDER}/kept/${build}`);
  // The whole copy runs on the engine's machine: only the commands cross SSH.
  await engine.script([COPY, begin, ...copies].join("\n"));
}

/**
 * Serves the stored assets of these builds together and deletes those of other builds, so that a page loaded before a
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

/** The shell command that runs a script in the edge. */
function inEdge(edge: string, script: string, ...args: string[]): string {
  return ["docker", "exec", "-i", edge, "sh", "-euc", script, "sh", ...args].map(quote).join(" ");
}

/** Maximum size of a folder. A larger one is not a set of hashed assets. */
const MOST_BYTES = 1024 ** 3;
const MOST_FILES = 200_000;
const REMEDY = "let assets name a folder that holds only files with a hash in their names";

/** Copies a container's folder into the file `$tar`; sets `$gone` if the folder does not exist. */
const COPY = `
tar=$(mktemp); trap 'rm -f "$tar" "$tar.said"' EXIT
copy() {
  gone=
  ( ulimit -f ${MOST_BYTES / 512}; docker cp "$1" - > "$tar" 2> "$tar.said" ) && return
  grep -Eiq '${NO_PATH.source}' "$tar.said" && gone=1 && return 1
  if [ "$(wc -c < "$tar")" -ge ${MOST_BYTES} ]
  then echo "the folder $1 has more than 1 GiB; ${REMEDY}" >&2
  else cat "$tar.said" >&2
  fi
  return 1
}`;

/**
 * Unpacks a folder as root without the capability to change owners, and adds its regular files to the kept ones. A link
 * could point to a file of the edge itself: a link within the folder becomes a copy of its target, any other is left
 * out.
 */
const EXTRACT = `
mkdir -p "$1"; cd "$1"; into=$2; folder=$3; new=$PWD/new-$$
rm -rf new-*; mkdir -p "$new" "$into"; trap 'rm -rf "$new"' EXIT
( cd "$new" && EXTRACT_UNSAFE_SYMLINKS=1 tar -xof - )
[ "$(find "$new" -print0 | tr -dc '\\000' | wc -c)" -le ${MOST_FILES} ] || {
  echo "the folder $folder has more than ${MOST_FILES} files; ${REMEDY}" >&2
  exit 1
}
for pass in 1 2 3; do
  find "$new" -type l -exec sh -c '
    new=$1 folder=$2; shift 2
    for link in "$@"; do
      to=$(readlink "$link")
      case $to in
        "$folder"/*) to=$new\${to#"$folder"} ;;
        /*) continue ;;
        *) to=\${link%/*}/$to ;;
      esac
      real=$(readlink -f "$to") || continue
      case $real in "$new"/*) ;; *) continue ;; esac
      if [ -f "$real" ]; then ln -f "$real" "$new.link" && mv -f "$new.link" "$link"; fi
    done' sh "$new" "$folder" {} +
done
${regularOnly('"$new"')}
cp -alf "$new/." "$into/"
`;

/** The shell command that removes everything but files and folders from a folder. */
export function regularOnly(folder: string): string {
  return `find ${folder} ! -type f ! -type d -exec rm -f {} +`;
}

/** Links the kept builds' files into one new folder, points the edge to it, and removes other builds. */
const MERGE = `
mkdir -p "$1"; cd "$1"; shift
new=served-$(date +%s)-$$
mkdir -p "$new" kept
# Earlier versions of this program kept links.
${regularOnly("kept")}
for each in "$@"; do if [ -d "kept/$each" ]; then cp -alf "kept/$each/." "$new/"; fi; done
printf %s "$PWD/$new" > root.new
mv root.new root
for each in served-*; do [ "$each" = "$new" ] || rm -rf "$each"; done
for each in kept/*; do
  keep=; for one in "$@"; do [ "kept/$one" != "$each" ] || keep=1; done
  [ -n "$keep" ] || rm -rf "$each"
done
find "$new" -type f -print0 | tr -dc '\\000' | wc -c
`;
