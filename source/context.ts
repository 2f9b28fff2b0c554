import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { TreeEntry } from "./git";

const FILES_A_TURN = 16;

/**
 * Writes a build context from the git tree, never from the working tree, into a folder of its own.
 *
 * The folder's name is relative and the same for the same content, for it is a part of the image's inputs. Files of another
 * commit are new, so that their times are, and modes do not depend on this machine's umask.
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
  const folders = new Set(tree.flatMap((entry) => ancestors(entry.path)));
  if (holds(target, folders, tree, blobs)) return target;
  const staging = `${target}.${process.pid}.tmp`;
  await rm(staging, { recursive: true, force: true });
  await makeFolder(staging);
  for (const each of [...folders].sort()) await makeFolder(join(staging, each));
  for (const [at, { path, hash, mode }] of tree.entries()) {
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
  await removeOthers(own, name);
  return target;
}

/**
 * Whether a folder holds exactly these files already, as it does after a preview or where nothing changed. All of them are
 * read: it lies where anything could have been changed since. That takes a tenth of the time of writing them. What cannot be read is
 * written anew, which fails by what is wrong there.
 */
function holds(
  folder: string,
  folders: ReadonlySet<string>,
  tree: readonly TreeEntry[],
  blobs: ReadonlyMap<string, Buffer>,
): boolean {
  const wanted = new Map(tree.map((entry) => [entry.path, entry]));
  try {
    const found = readdirSync(folder, { recursive: true, withFileTypes: true });
    if (found.length !== folders.size + tree.length) return false;
    return found.every((each) => {
      const file = join(each.parentPath, each.name);
      const path = relative(folder, file);
      const stats = lstatSync(file);
      const own = stats.mode & 0o7777;
      if (stats.isDirectory()) return folders.has(path) && own === FOLDER;
      const entry = wanted.get(path);
      if (entry === undefined) return false;
      const content = blobs.get(entry.hash)!;
      if (entry.mode === "120000") return readlinkSync(file) === content.toString("utf8");
      const isSame = stats.isFile() && own === permissions(entry.mode) && stats.size === content.length;
      return isSame && readFileSync(file).equals(content);
    });
  } catch {
    return false;
  }
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
