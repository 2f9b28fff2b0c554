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
import { dirname, join, resolve, sep } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { startEarly } from "../engine/until";
import type { TreeEntry } from "../freshness/files";
import { hasContent, type Objects } from "./objects";

const FILES_A_TURN = 16;

/** The required content of a context. */
interface Wanted {
  readonly folders: ReadonlySet<string>;
  /** By path. */
  readonly files: ReadonlyMap<string, TreeEntry>;
  /** Contents by hash. */
  readonly blobs: Contents;
}

/** Contents by hash: those in memory, and a way to write the others. */
type Contents = Pick<Objects, "get" | "size" | "write">;

/**
 * Writes a build context from the git tree, never from the working tree, into its own folder.
 *
 * The folder's name is relative, and equal for equal content, because it is one of the image's inputs. Another commit's
 * files get new times even if they are equal. Modes do not depend on this machine's umask.
 *
 * @param tree the context's files
 * @param blobs their contents
 * @param own folder of this context and the earlier ones, which are deleted, relative to the project
 * @param name name of this one
 * @returns the context's path, relative to the project
 */
export async function exportContext(
  own: string,
  name: string,
  tree: readonly TreeEntry[],
  blobs: Contents,
): Promise<string> {
  const target = join(own, name);
  const wanted: Wanted = {
    folders: new Set(tree.flatMap(({ path }) => ancestors(path))),
    files: new Map(tree.map((entry) => [entry.path, entry])),
    blobs,
  };
  if (await holds(target, wanted)) return target;
  const staging = `${target}.${process.pid}.tmp`;
  await rm(staging, { recursive: true, force: true });
  const kept = await takeOver(own, name, staging, wanted);
  if (!kept.has("")) await makeFolder(staging);
  for (const each of [...wanted.folders].sort()) if (!kept.has(each)) await makeFolder(join(staging, each));
  const missing = tree.filter(({ path }) => !kept.has(path));
  const large: { hash: string; file: string }[] = [];
  for (const [at, { path, hash, mode }] of missing.entries()) {
    // Awaiting each file takes twice the time; writing all in one go would block the process for a second.
    if (at % FILES_A_TURN === FILES_A_TURN - 1) await turn();
    const file = join(staging, path);
    if (!resolve(file).startsWith(resolve(staging) + sep))
      throw new Error(`${path} points outside its folder`);
    const content = blobs.get(hash);
    if (content === undefined) large.push({ hash, file });
    else
      asItIs(path, () => {
        // Never overwrite or follow anything that exists.
        if (mode === "120000") symlinkSync(content, file);
        else writeFileSync(file, content, { flag: "wx" });
      });
  }
  await blobs.write(large);
  for (const { path, mode } of missing)
    if (mode !== "120000") chmodSync(join(staging, path), permissions(mode));
  await rm(target, { recursive: true, force: true });
  await rename(staging, target);
  // The build does not wait for the removal. The next deploy removes the rest.
  void startEarly(removeOthers(own, name));
  return target;
}

/** @throws Error if the file system treats two names as equal, as macOS does with letters of another case */
function asItIs(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new Error(
      `${path} and another file of the commit have the same name on this machine's file system; rename one of them, or deploy from Linux`,
    );
  }
}

/**
 * Starts from an earlier commit's context, if there is one: most files are equal, and reading them takes a tenth of the
 * time of writing. Other files are removed, never overwritten, because a running build may still read them. Kept files
 * get a new time.
 *
 * @returns the paths that need no writing, `""` for the folder itself
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
      if (kept.has(parent) && (await isWanted(file, path, wanted))) {
        kept.add(path);
        lutimesSync(file, now, now);
      } else rmSync(file, { recursive: true, force: true });
    }
    return kept;
  } catch {
    // Unreadable files are written again.
    await rm(staging, { recursive: true, force: true });
    return new Set();
  }
}

/**
 * Whether a folder already holds exactly these files, as after a preview or without changes. Reads all of them, because
 * anything may have changed them since; that takes a tenth of the time of writing. Unreadable files are written again,
 * which then reports the problem.
 */
async function holds(folder: string, wanted: Wanted): Promise<boolean> {
  try {
    const found = below(folder);
    if (found.length !== wanted.folders.size + wanted.files.size) return false;
    for (const path of found) if (!(await isWanted(join(folder, path), path, wanted))) return false;
    return true;
  } catch {
    return false;
  }
}

/**
 * Everything below a folder, by relative path, each folder before its content. Node's own `recursive` follows links to
 * folders (24.21, readdirSync only), out of the context or in circles.
 */
function below(folder: string, path = ""): string[] {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const own = join(path, entry.name);
    return entry.isDirectory() ? [own, ...below(folder, own)] : [own];
  });
}

async function isWanted(file: string, path: string, { folders, files, blobs }: Wanted): Promise<boolean> {
  const stats = lstatSync(file);
  const own = stats.mode & 0o7777;
  if (stats.isDirectory()) return folders.has(path) && own === FOLDER;
  const entry = files.get(path);
  if (entry === undefined) return false;
  const content = blobs.get(entry.hash);
  if (entry.mode === "120000")
    return stats.isSymbolicLink() && content?.equals(readlinkSync(file, "buffer")) === true;
  const size = content?.length ?? blobs.size(entry.hash);
  const isSame = stats.isFile() && own === permissions(entry.mode) && stats.size === size;
  if (!isSame || size === undefined) return false;
  return content ? readFileSync(file).equals(content) : hasContent(file, entry.hash, size);
}

const FOLDER = 0o755;

function permissions(mode: TreeEntry["mode"]): number {
  return mode === "100755" ? 0o755 : 0o644;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, FOLDER);
}

/** Parent folders of a path: `a/b/c` → `a`, `a/b`. */
function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === "." ? [] : [...ancestors(above), above];
}

/** Removes contexts of earlier commits: the images hold what was built from them. */
async function removeOthers(folder: string, keep: string): Promise<void> {
  const names = await readdir(folder);
  const old = names.filter((name) => name !== keep && !name.endsWith(".tmp"));
  await Promise.all(old.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
