import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { TreeEntry } from "./git";

const FILES_A_TURN = 16;

/**
 * Writes a build context from the git tree, never from the working tree, into a folder of its own.
 *
 * The folder's name is relative and the same for the same content, for it is a part of the image's inputs; the files are
 * new, so that their times are, and their modes do not depend on this machine's umask.
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
  const staging = `${target}.${process.pid}.tmp`;
  await rm(staging, { recursive: true, force: true });
  await makeFolder(staging);
  const folders = new Set(tree.flatMap((entry) => ancestors(entry.path)));
  for (const each of [...folders].sort()) await makeFolder(join(staging, each));
  for (const [at, { path, hash, mode }] of tree.entries()) {
    // Each file waited for takes twice the time; all in one go, and nothing else is done for a second.
    if (at % FILES_A_TURN === FILES_A_TURN - 1) await turn();
    const file = join(staging, path);
    const content = blobs.get(hash)!;
    if (mode === "120000") symlinkSync(content.toString("utf8"), file);
    else {
      writeFileSync(file, content);
      chmodSync(file, mode === "100755" ? 0o755 : 0o644);
    }
  }
  await rm(target, { recursive: true, force: true });
  await rename(staging, target);
  await removeOthers(own, name);
  return target;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
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
