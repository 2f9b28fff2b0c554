import { type DockerEngine, quote } from "../engine/docker";
import { ASSETS_FOLDER } from "../engine/edgeNames";
import { NO_PATH } from "../engine/problems";
import type { Deployment } from "../proof/deployment";

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
      const into = inEdge(edge, EXTRACT, ASSETS_FOLDER, `kept/${build}${path}`, folder.replace(/\/+$/, ""));
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

/** How much of one folder is kept. What is more is no set of hashed assets. */
const MOST_BYTES = 1024 ** 3;
const MOST_FILES = 200_000;
const REMEDY = "let assets name a folder that holds only files with a hash in their names";

/** Copies a container's folder into the file `$tar`; one that is not there is `$gone`. */
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
 * Unpacks a folder beside what is kept, as root without the capability to give files away, and adds its regular files to it.
 * A link would lead to a file of the edge's own: one to a file of the same folder becomes that file, any other is left out.
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

/** A shell's command that removes from a folder what is neither a file nor a folder. */
export function regularOnly(folder: string): string {
  return `find ${folder} ! -type f ! -type d -exec rm -f {} +`;
}

/** Links the kept builds' files into one new folder, leads the edge there, and removes what is kept no more. */
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
