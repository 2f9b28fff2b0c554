import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, extname, join, sep } from "node:path";
import { fields, gitWith } from "../source/git";

/** A repository as plain values: rules read no files. */
export interface Repository {
  /** All files, relative, with `/`. */
  readonly files: readonly string[];
  /** The contents of those that a rule may ask for. */
  readonly texts: ReadonlyMap<string, string>;
  /** The files that git tracks; absent where the folder is no checkout. */
  readonly tracked?: ReadonlySet<string>;
}

/** Folders of what others made, or a build did. */
const SKIPPED = new Set(
  "node_modules .git .hg .svn vendor vendored third_party venv .venv site-packages .next .nuxt .turbo dist .tox __pypackages__ bower_components".split(
    " ",
  ),
);
/** More than any file of these kinds holds. */
const LARGEST = 1024 * 1024;

/**
 * Reads what the rules need of a folder: where it is in a git checkout the files that git tracks or would take, otherwise all.
 *
 * @param wants whether a file's content is needed, by its path and, for one without an extension, by how it begins
 */
export async function readRepository(
  folder: string,
  wants: (path: string, beginning: string) => boolean,
): Promise<Repository> {
  const listed = await listFiles(folder);
  const files = listed.files.filter((path) => !path.split("/").slice(0, -1).includes(".git"));
  const texts = new Map<string, string>();
  for (const path of files) {
    if (
      path
        .split("/")
        .slice(0, -1)
        .some((part) => SKIPPED.has(part))
    )
      continue;
    const file = join(folder, path);
    const isPlain = extname(path) === "" && !basename(path).startsWith(".");
    if (!wants(path, "") && !(isPlain && wants(path, beginning(file)))) continue;
    const text = read(file);
    if (text !== undefined) texts.set(path, text);
  }
  return { files, texts, ...(listed.tracked && { tracked: listed.tracked }) };
}

async function listFiles(folder: string): Promise<{ files: string[]; tracked?: Set<string> }> {
  const list = (...args: string[]) => gitWith(folder, ["ls-files", "-z", ...args]).then(fields);
  try {
    const [tracked, others] = await Promise.all([list("--cached"), list("--others", "--exclude-standard")]);
    // A folder that the checkout around it ignores is none of it.
    if (tracked.length + others.length > 0)
      return { files: [...new Set([...tracked, ...others])], tracked: new Set(tracked) };
  } catch {
    // No checkout, or no git.
  }
  return { files: await walk(folder, "") };
}

async function walk(root: string, below: string): Promise<string[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch(() => []);
  const found = entries.map(async (entry) => {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : walk(root, path);
    return entry.isFile() ? [path.replaceAll(sep, "/")] : [];
  });
  return (await Promise.all(found)).flat();
}

function read(file: string): string | undefined {
  try {
    const stat = statSync(file);
    if (!stat.isFile() || stat.size > LARGEST) return undefined;
    const text = readFileSync(file, "utf8");
    // A name says little: Dockerfile.5.gz is no Dockerfile.
    return text.includes("\0") ? undefined : text.replace(/^\uFEFF/, "");
  } catch {
    // Deleted and not yet committed so, or a link that leads nowhere.
    return undefined;
  }
}

function beginning(file: string): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const bytes = Buffer.alloc(64);
      return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}
