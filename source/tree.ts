import { posix } from "node:path";
import { broken, EVERY_SERVICE, FreshnessError } from "../freshness/chain";
import type { TreeEntry } from "../freshness/files";

/** An entry of `git ls-tree`. */
export interface ListedEntry extends TreeEntry {
  /** Its path with escapes, if its bytes are not UTF-8; `path` is then not its name. */
  readonly escaped?: string;
}

/** A tree that git does not write and no checkout accepts. */
export class TreeError extends FreshnessError {}

/** Maximum length of a name on Linux, in bytes. */
const LONGEST_NAME = 255;
/** Maximum length of a path within a build context: Linux allows 4096 bytes in total. */
const LONGEST_PATH = 3500;

/**
 * Parses `git ls-tree -r -t -z`.
 *
 * @param owner service for the error
 * @param alone paths were listed without their parent folders, to find single files: skip invalid ones
 * @throws TreeError for a name that leaves its folder, and for a path that occurs twice
 */
export function parseTree(
  listing: Buffer,
  owner: string,
  { alone = false }: { readonly alone?: boolean } = {},
): ListedEntry[] {
  const folders = new Set<string>();
  const files = new Map<string, ListedEntry>();
  const seen = new Set<string>();
  for (const line of split(listing)) {
    const tab = line.indexOf(9);
    const [mode = "", type, hash = ""] = line.toString("latin1", 0, tab).split(" ");
    const bytes = line.subarray(tab + 1);
    // One character per byte, so that two names that are not UTF-8 stay different.
    const key = bytes.toString("latin1");
    const wrong = wrongName(bytes);
    if (wrong && alone) continue;
    if (wrong) throw refused(owner, escaped(bytes), wrong);
    if (seen.has(key)) throw refused(owner, escaped(bytes), "occurs twice");
    seen.add(key);
    if (type === "tree") folders.add(key);
    else {
      const path = bytes.toString("utf8");
      const isText = Buffer.from(path).equals(bytes);
      files.set(key, {
        mode: modeOf(mode),
        hash,
        path,
        ...(isText ? {} : { escaped: escaped(bytes) }),
      });
    }
  }
  for (const key of alone ? [] : files.keys())
    for (let above = posix.dirname(key); above !== "."; above = posix.dirname(above)) {
      if (folders.has(above)) continue;
      const path = escaped(Buffer.from(key, "latin1"));
      throw refused(
        owner,
        path,
        files.has(above) ? "lies below a path that is not a folder" : "has a slash in its name",
      );
    }
  return [...files.values()];
}

function refused(owner: string, path: string, what: string): TreeError {
  return new TreeError(
    broken({
      link: "commit",
      service: owner,
      wrong: `the commit's tree has an invalid entry: "${path}" ${what}`,
      expected: "unique names inside their folder",
      found: `"${path}"`,
      evidence: "git ls-tree",
      remedy: 'Deploy a commit that passes "git fsck".',
    }),
  );
}

/** The error for a tree that git cannot list. */
export function unreadable(cause: Error): TreeError {
  return new TreeError(
    broken({
      link: "commit",
      service: EVERY_SERVICE,
      wrong: "the commit's tree cannot be read",
      expected: "a tree that git lists",
      found: cause.message,
      evidence: "git ls-tree",
      remedy: 'Run "git fsck" and "git fetch", and deploy a complete commit.',
    }),
  );
}

/**
 * The error for names that are not UTF-8: text would hold U+FFFD for their bytes, and one of two such files could be
 * lost.
 */
export function notUtf8(service: string, paths: readonly string[]): FreshnessError {
  const named = paths.slice(0, 10).map((path) => `"${path}"`);
  return new FreshnessError(
    broken({
      link: "commit",
      service,
      wrong: "the build context has names that are not UTF-8",
      expected: "names in UTF-8",
      found: `${paths.length}: ${named.join(", ")}${paths.length > named.length ? ", …" : ""}`,
      evidence: "git ls-tree",
      remedy: 'Rename them with "git mv" and commit, or leave them out by .dockerignore.',
    }),
  );
}

/** What is wrong with a path; undefined for a valid one. */
function wrongName(path: Buffer): string | undefined {
  if (path.length > LONGEST_PATH) return `is longer than ${LONGEST_PATH} bytes`;
  for (const name of path.toString("latin1").split("/")) {
    if (name === "") return "has an empty name";
    if (name === "." || name === "..") return `has the name "${name}"`;
    if (name.length > LONGEST_NAME) return `has a name longer than ${LONGEST_NAME} bytes`;
    if (isDotGit(Buffer.from(name, "latin1").toString("utf8")))
      return "has a name that stands for git's own folder";
  }
  return undefined;
}

/** Characters that macOS ignores in a name. */
const IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/gu;

/** `.git` as Linux, macOS or Windows read it, the same list as `git fsck`. */
function isDotGit(name: string): boolean {
  const plain = name
    .replace(IGNORED, "")
    .replace(/[:\\].*$/s, "")
    .replace(/[ .]+$/, "")
    .toLowerCase();
  return plain === ".git" || plain === "git~1";
}

/** Git reduces any file mode to one of two. */
function modeOf(written: string): TreeEntry["mode"] {
  const mode = Number.parseInt(written, 8);
  const kind = mode & 0o170000;
  if (kind === 0o100000) return mode & 0o100 ? "100755" : "100644";
  return kind === 0o120000 ? "120000" : "160000";
}

/** Bytes in the notation of `git ls-tree` without `-z`: `caf\351.txt`. */
function escaped(path: Buffer): string {
  const text = path.toString("utf8");
  if (Buffer.from(text).equals(path) && !/[\p{Cc}"\\]/u.test(text)) return text;
  return [...path]
    .map((byte) => {
      if (byte < 0x20 || byte > 0x7e) return `\\${byte.toString(8).padStart(3, "0")}`;
      return byte === 0x22 || byte === 0x5c ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte);
    })
    .join("");
}

/** Splits a NUL-terminated listing. */
function split(listing: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < listing.length; ) {
    const end = listing.indexOf(0, at);
    parts.push(listing.subarray(at, end < 0 ? listing.length : end));
    at = end < 0 ? listing.length : end + 1;
  }
  return parts.filter((part) => part.length > 0);
}
