import execa from "execa";
import { type SimpleGit, simpleGit } from "simple-git";

/** An entry of a tree: a file, a symbolic link, or a submodule. */
export interface TreeEntry {
  readonly mode: "100644" | "100755" | "120000" | "160000";
  readonly hash: string;
  /** Path relative to the tree. */
  readonly path: string;
}

/** A repository, asked through simple-git: it need not wait after the end of a command that says nothing. */
export function gitIn(folder: string): SimpleGit {
  return simpleGit({ baseDir: folder, completion: { onExit: false } });
}

/** A git command that needs what simple-git does not pass on: standard input, or an index of its own. */
export async function gitWith(
  folder: string,
  args: readonly string[],
  options: { input?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { input, env } = options;
  const standardInput = input === undefined ? { stdin: "ignore" as const } : { input };
  return (await execa("git", args, { cwd: folder, env, stripFinalNewline: false, ...standardInput })).stdout;
}

/** Whether a commit is another one, or one that it was made after; false where either is not here. */
export function isWithin(root: string, commit: string, of: string): Promise<boolean> {
  return gitWith(root, ["merge-base", "--is-ancestor", commit, of]).then(
    () => true,
    () => false,
  );
}

/** The fields of output that git ends with NUL. */
export function fields(output: string): string[] {
  return output.split("\0").filter((field) => field !== "");
}

/** Parses `git ls-tree -z`. */
export function parseTree(listing: string): TreeEntry[] {
  return fields(listing).map((line) => {
    const tab = line.indexOf("\t");
    const [mode, , hash] = line.slice(0, tab).split(" ");
    return { mode: mode as TreeEntry["mode"], hash: hash!, path: line.slice(tab + 1) };
  });
}

/** Splits what `git cat-file --batch` printed into the objects' contents, in the order they were asked for. */
export function parseBatch(output: Uint8Array, hashes: readonly string[]): Buffer[] {
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.byteLength);
  let at = 0;
  return hashes.map((hash) => {
    const end = bytes.indexOf(10, at);
    const header = bytes.toString("utf8", at, end);
    const size = Number(header.split(" ")[2]);
    if (end < 0 || !Number.isInteger(size)) throw new Error(`git object ${hash} is missing: ${header}`);
    const content = bytes.subarray(end + 1, end + 1 + size);
    at = end + 1 + size + 1;
    return content;
  });
}

/**
 * Reads objects as they are stored: no checkout filter, no attribute (export-ignore, eol, ident) changes a byte.
 *
 * @returns hash → content
 */
export async function readObjects(root: string, wanted: Iterable<string>): Promise<Map<string, Buffer>> {
  const hashes = [...new Set(wanted)];
  if (hashes.length === 0) return new Map();
  const { stdout } = await execa("git", ["cat-file", "--batch", "--buffer"], {
    cwd: root,
    input: `${hashes.join("\n")}\n`,
    // Bytes, not text.
    encoding: null,
    maxBuffer: 4 * 1024 ** 3,
    stripFinalNewline: false,
  });
  const contents = parseBatch(stdout, hashes);
  return new Map(hashes.map((hash, index) => [hash, contents[index]!]));
}
