import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { ignoredBy, type Patterns, patternsOf } from "./gitIgnore";
import { pathsInIndex } from "./gitIndex";

/** Larger files of git's are not read: 64 MiB hold the index of half a million files. */
const LARGEST = 64 * 1024 * 1024;
/** Folders above the given one that are searched for a checkout. */
const HIGHEST = 40;

/** The files of a checkout below a folder. */
interface CheckedOut {
  readonly tracked: string[];
  /** Untracked files that no .gitignore excludes. */
  readonly others: string[];
}

/**
 * The files of a checkout, read from its index and its .gitignore files. Git itself does not run, because a
 * repository's configuration can make it start programs. Undefined if the folder is not a checkout.
 */
export async function trackedFiles(folder: string): Promise<CheckedOut | undefined> {
  const checkout = checkoutOf(resolve(folder));
  if (!checkout) return undefined;
  const { root, gitFolder, common } = checkout;
  try {
    const index = bytesOf(join(gitFolder, "index"));
    const isSha256 = /objectformat\s*=\s*sha256/i.test(textOf(join(common, "config")));
    const below = relative(root, resolve(folder)).replaceAll(sep, "/");
    const prefix = below === "" ? "" : `${below}/`;
    const tracked = (index ? pathsInIndex(index, isSha256 ? 32 : 20) : [])
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    const patterns = [patternsOf("", textOf(join(common, "info", "exclude")))];
    for (const above of parentsOf(below))
      patterns.push(patternsOf(above, textOf(join(root, above, ".gitignore"))));
    const known = new Set(tracked);
    const all = await walk(root, below, below === "" ? patterns.slice(0, 1) : patterns.slice(0, -1));
    const others = all.map((path) => path.slice(prefix.length)).filter((path) => !known.has(path));
    // A folder that its enclosing checkout ignores is not part of it.
    const isIgnored = below !== "" && tracked.length === 0 && ignoredBy(patterns, below, true);
    return tracked.length + others.length > 0 && !isIgnored ? { tracked, others } : undefined;
  } catch {
    // An index in a format that is not known.
    return undefined;
  }
}

/** The folders from the root to a folder, the root first: `a/b` gives ``, `a`, `a/b`. */
function parentsOf(below: string): string[] {
  const parts = below === "" ? [] : below.split("/");
  return ["", ...parts.map((_, at) => parts.slice(0, at + 1).join("/"))];
}

async function walk(root: string, below: string, above: readonly Patterns[]): Promise<string[]> {
  const folder = join(root, below);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const hasOwn = entries.some(({ name }) => name === ".gitignore");
  const patterns = hasOwn ? [...above, patternsOf(below, textOf(join(folder, ".gitignore")))] : above;
  const found = entries.map((entry): string[] | Promise<string[]> => {
    if (entry.name === ".git") return [];
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    const isFolder = entry.isDirectory();
    if (!isFolder && !entry.isFile() && !entry.isSymbolicLink() && !entry.isFIFO()) return [];
    if (ignoredBy(patterns, path, isFolder)) return [];
    if (!isFolder) return [path];
    // Another repository.
    if (statSync(join(root, path, ".git"), { throwIfNoEntry: false })) return [];
    return walk(root, path, patterns);
  });
  return (await Promise.all(found)).flat();
}

interface Checkout {
  readonly root: string;
  /** The folder of this working tree's index. */
  readonly gitFolder: string;
  /** The folder that all its working trees share. */
  readonly common: string;
}

function checkoutOf(folder: string): Checkout | undefined {
  let root = folder;
  for (let height = 0; height < HIGHEST; height++) {
    const place = join(root, ".git");
    const stat = statSync(place, { throwIfNoEntry: false });
    if (stat?.isDirectory()) return { root, gitFolder: place, common: place };
    if (stat?.isFile()) {
      const linked = /^gitdir:\s*(.+?)\s*$/m.exec(textOf(place))?.[1];
      if (linked === undefined) return undefined;
      const gitFolder = resolve(root, linked);
      const shared = textOf(join(gitFolder, "commondir")).trim();
      return { root, gitFolder, common: shared === "" ? gitFolder : resolve(gitFolder, shared) };
    }
    if (dirname(root) === root) return undefined;
    root = dirname(root);
  }
  return undefined;
}

/** The bytes of a regular file; undefined if it does not exist. A pipe is not opened for longer than a check. */
function bytesOf(file: string): Buffer | undefined {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= LARGEST ? readFileSync(descriptor) : undefined;
  } finally {
    closeSync(descriptor);
  }
}

function textOf(file: string): string {
  return bytesOf(file)?.toString("utf8") ?? "";
}
