import {
  chmodSync,
  lstatSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { TreeEntry } from "./git";

const FILES_A_TURN = 16;

/** What a context has to hold. */
interface Wanted {
  readonly folders: ReadonlySet<string>;
  /** By path. */
  readonly files: ReadonlyMap<string, TreeEntry>;
  /** Contents by hash. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

/**
 * Writes a build context from the git tree, never from the working tree, into a folder of its own.
 *
 * The folder's name is relative and the same for the same content, for it is a part of the image's inputs. Files of another
 * commit have new times, whether they are others or not, and modes do not depend on this machine's umask.
 *
 * @param tree the context's files
 * @param blobs their contents
 * @param own the folder of this context and the earlier ones, which go, relative to the project
 * @param name of this one
 * @returns the context's path, relative to the project
 */
export async function exportContext(
  own: string,
  name: string,
  tree: readonly TreeEntry[],
  blobs: ReadonlyMap<string, Buffer>,
): Promise<string> {
  const target = join(own, name);
  const wanted: Wanted = {
    folders: new Set(tree.flatMap(({ path }) => ancestors(path))),
    files: new Map(tree.map((entry) => [entry.path, entry])),
    blobs,
  };
  if (holds(target, wanted)) return target;
  const staging = `${target}.${process.pid}.tmp`;
  await rm(staging, { recursive: true, force: true });
  const kept = await takeOver(own, name, staging, wanted);
  if (!kept.has("")) await makeFolder(staging);
  for (const each of [...wanted.folders].sort()) if (!kept.has(each)) await makeFolder(join(staging, each));
  const missing = tree.filter(({ path }) => !kept.has(path));
  for (const [at, { path, hash, mode }] of missing.entries()) {
    // Each file waited for takes twice the time; all in one go, and nothing else is done for a second.
    if (at % FILES_A_TURN === FILES_A_TURN - 1) await turn();
    const file = join(staging, path);
    const content = blobs.get(hash)!;
    if (mode === "120000") symlinkSync(content.toString("utf8"), file);
    else {
      writeFileSync(file, content);
      chmodSync(file, permissions(mode));
    }
  }
  await rm(target, { recursive: true, force: true });
  await rename(staging, target);
  // The build need not wait for it, and the next deploy finds what is left.
  removeOthers(own, name).catch(() => undefined);
  return target;
}

/**
 * Makes the context of an earlier commit the beginning of this one, where there is one: most of its files are the same, and
 * to read them takes a tenth of the time of writing them. What is not as it is wanted is removed, and never written over: a build
 * that still reads it must not get half of it. What is kept gets a new time.
 *
 * @returns the paths that need not be written, `""` for the folder itself
 */
async function takeOver(own: string, name: string, staging: string, wanted: Wanted): Promise<Set<string>> {
  const kept = new Set<string>();
  const names = await readdir(own).catch(() => []);
  const earlier = names.find((each) => each !== name && !each.endsWith(".tmp"));
  if (earlier === undefined) return kept;
  try {
    await rename(join(own, earlier), staging);
    if ((lstatSync(staging).mode & 0o7777) === FOLDER) kept.add("");
    const now = new Date();
    for (const [at, path] of below(staging).entries()) {
      if (at % FILES_A_TURN === FILES_A_TURN - 1) await turn();
      const file = join(staging, path);
      const [parent = ""] = ancestors(path).slice(-1);
      if (kept.has(parent) && isWanted(file, path, wanted)) {
        kept.add(path);
        lutimesSync(file, now, now);
      } else rmSync(file, { recursive: true, force: true });
    }
    return kept;
  } catch {
    // What cannot be read is written anew.
    await rm(staging, { recursive: true, force: true });
    return new Set();
  }
}

/**
 * Whether a folder holds exactly these files already, as it does after a preview or where nothing changed. All of them are
 * read: it lies where anything could have been changed since. That takes a tenth of the time of writing them. What cannot be read is
 * written anew, which fails by what is wrong there.
 */
function holds(folder: string, wanted: Wanted): boolean {
  try {
    const found = below(folder);
    return (
      found.length === wanted.folders.size + wanted.files.size &&
      found.every((path) => isWanted(join(folder, path), path, wanted))
    );
  } catch {
    return false;
  }
}

/**
 * All that lies below a folder, by path from it, each folder before what it holds. Node's own `recursive` follows links to folders
 * (24.21, readdirSync alone), out of the context or around in circles.
 */
function below(folder: string, path = ""): string[] {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const own = join(path, entry.name);
    return entry.isDirectory() ? [own, ...below(folder, own)] : [own];
  });
}

function isWanted(file: string, path: string, { folders, files, blobs }: Wanted): boolean {
  const stats = lstatSync(file);
  const own = stats.mode & 0o7777;
  if (stats.isDirectory()) return folders.has(path) && own === FOLDER;
  const entry = files.get(path);
  if (entry === undefined) return false;
  const content = blobs.get(entry.hash)!;
  if (entry.mode === "120000")
    return stats.isSymbolicLink() && readlinkSync(file) === content.toString("utf8");
  const isSame = stats.isFile() && own === permissions(entry.mode) && stats.size === content.length;
  return isSame && readFileSync(file).equals(content);
}

const FOLDER = 0o755;

function permissions(mode: TreeEntry["mode"]): number {
  return mode === "100755" ? 0o755 : 0o644;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, FOLDER);
}

/** The folders above a path: `a/b/c` → `a`, `a/b`. */
function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === "." ? [] : [...ancestors(above), above];
}

/** Contexts of earlier commits are of no use: the images hold what was built from them. */
async function removeOthers(folder: string, keep: string): Promise<void> {
  const names = await readdir(folder);
  const old = names.filter((name) => name !== keep && !name.endsWith(".tmp"));
  await Promise.all(old.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
