import { closeSync, constants, openSync, readFileSync, readSync, realpathSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, extname, join, sep } from "node:path";
import { trackedFiles } from "./tracked";

/** A file that is not judged, and why. */
export interface Skipped {
  readonly path: string;
  readonly why: string;
}

/** A repository as plain values. Rules read no files. */
export interface Repository {
  /** All files, relative, with `/`. */
  readonly files: readonly string[];
  /** The contents of files that rules need. */
  readonly texts: ReadonlyMap<string, string>;
  /** The files that git tracks; absent if the folder is not a checkout. */
  readonly tracked?: ReadonlySet<string>;
  /** The owners of its remotes, as in `github.com/OWNER/NAME`. */
  readonly owners?: readonly string[];
  /** Files that rules need but that could not be read. */
  readonly unread?: readonly Skipped[];
}

/** Folders for third-party files or build output. */
const SKIPPED = new Set(
  "node_modules .git .hg .svn vendor vendored third_party third-party venv .venv site-packages .next .nuxt .turbo .output dist .tox __pypackages__ bower_components Pods .terraform .gradle".split(
    " ",
  ),
);
/** Maximum size of a file of these kinds, in bytes. */
const LARGEST = 1024 * 1024;
/** Enough bytes for a `#!` line. */
const BEGINNING = 64;

/**
 * Reads the files of a folder that the rules need. In a git checkout these are tracked and untracked files that git
 * does not ignore, otherwise all files.
 * @param wants whether a file's content is needed, by its path and, without an extension, by its beginning
 */
export async function readRepository(
  folder: string,
  wants: (path: string, beginning: string) => boolean,
): Promise<Repository> {
  const listed = await listFiles(folder);
  const files = listed.files.filter((path) => !path.split("/").slice(0, -1).includes(".git"));
  const root = realpathSync.native(folder);
  const texts = new Map<string, string>();
  const unread: Skipped[] = [];
  for (const path of files) {
    if (isOthers(path)) continue;
    const file = join(folder, path);
    const isPlain = extname(path) === "" && !basename(path).startsWith(".");
    if (!wants(path, "") && !(isPlain && wants(path, beginning(file)))) continue;
    const read = readText(file, root);
    if ("text" in read) texts.set(path, read.text);
    else if (read.why !== "") unread.push({ path, why: read.why });
  }
  return {
    files,
    texts,
    owners: ownersOf(folder),
    unread,
    ...(listed.tracked && { tracked: listed.tracked }),
  };
}

/** Whether a file is in a folder for third-party files or build output. */
function isOthers(path: string): boolean {
  return path
    .split("/")
    .slice(0, -1)
    .some((part) => SKIPPED.has(part));
}

async function listFiles(folder: string): Promise<{ files: string[]; tracked?: Set<string> }> {
  const known = await trackedFiles(folder);
  if (!known) return { files: await walk(folder, "") };
  return { files: [...new Set([...known.tracked, ...known.others])], tracked: new Set(known.tracked) };
}

async function walk(root: string, below: string): Promise<string[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch(() => []);
  const found = entries.map(async (entry) => {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : walk(root, path);
    return entry.isFile() || entry.isSymbolicLink() ? [path.replaceAll(sep, "/")] : [];
  });
  return (await Promise.all(found)).flat();
}

/** The owners in the addresses of the remotes, read from the file without running git. */
function ownersOf(folder: string): string[] {
  const read = readText(join(folder, ".git", "config"), realpathSync.native(folder));
  if (!("text" in read)) return [];
  const urls = [...read.text.matchAll(/^[ \t]*url[ \t]*=[ \t]*(\S{1,500})/gm)].map(([, url = ""]) => url);
  return urls.flatMap((url) => {
    const owner = /[:/]([^/:]+)\/[^/]+$/.exec(url)?.[1];
    return owner === undefined ? [] : [owner.toLowerCase()];
  });
}

/** Reads a regular file below the root. Does not read a pipe, a device or a link that leads outside. */
function readText(file: string, root: string): { text: string } | { why: string } {
  try {
    const real = realpathSync.native(file);
    if (real !== root && !real.startsWith(`${root}${sep}`))
      return { why: "it is a link that leads out of the repository" };
    const stat = statSync(real);
    if (stat.isDirectory()) return { why: "" };
    if (!stat.isFile()) return { why: "it is not a regular file" };
    if (stat.size > LARGEST) return { why: "it is larger than 1 MiB" };
    // The file may have been replaced by a pipe meanwhile.
    const descriptor = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const text = readFileSync(descriptor, "utf8");
      // The name is not sufficient: Dockerfile.5.gz is not a Dockerfile.
      return text.includes("\0") ? { why: "" } : { text: text.replace(/^\uFEFF/, "") };
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // Deleted but not committed, or a broken link.
    if (code === "ENOENT" || code === "ENOTDIR") return { why: "" };
    return {
      why: code === "EACCES" ? "permission denied" : code === "ELOOP" ? "it is a link to itself" : `${code}`,
    };
  }
}

function beginning(file: string): string {
  try {
    if (!statSync(file).isFile()) return "";
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.alloc(BEGINNING);
      return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}

/** The files of a repository in order, so that a folder's files are one range. */
const sortedFiles = new WeakMap<Repository, readonly string[]>();

/** The files below a folder, relative to it. The root is the empty string. */
export function filesBelow(repository: Repository, folder: string): readonly string[] {
  if (folder === "") return repository.files;
  const sorted = sortedFiles.get(repository) ?? [...repository.files].sort();
  sortedFiles.set(repository, sorted);
  const prefix = `${folder}/`;
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") < prefix) low = middle + 1;
    else high = middle;
  }
  const found: string[] = [];
  for (let at = low; sorted[at]?.startsWith(prefix); at++)
    found.push((sorted[at] ?? "").slice(prefix.length));
  return found;
}
