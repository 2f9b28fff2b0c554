import execa from "execa";

/** A blob of a tree: a file, or a symbolic link. */
export interface TreeEntry {
  readonly mode: "100644" | "100755" | "120000" | "160000";
  readonly hash: string;
  /** Path relative to the tree. */
  readonly path: string;
}

/** Parses `git ls-tree -r -z`. */
export function parseTree(listing: string): TreeEntry[] {
  return listing
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => {
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
 * simple-git passes no standard input on, so git is called directly here.
 */
export async function readObjects(root: string, hashes: readonly string[]): Promise<Buffer[]> {
  if (hashes.length === 0) return [];
  const { stdout } = await execa("git", ["cat-file", "--batch", "--buffer"], {
    cwd: root,
    input: `${hashes.join("\n")}\n`,
    // Bytes, not text.
    encoding: null,
    maxBuffer: 4 * 1024 ** 3,
    stripFinalNewline: false,
  });
  return parseBatch(stdout, hashes);
}
