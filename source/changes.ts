import { lstat, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fields, gitIn, gitWith } from "./git";

/** A difference between the working tree and the commit. */
export interface Change {
  /** As git's status says it: ` M path`, `?? path`. */
  readonly text: string;
  /** The files of a submodule were changed: a tree of the checkout names its commit alone. */
  readonly inSubmodule: boolean;
}

/**
 * What differs from the commit below the given folder: changed, staged and untracked files, submodules, and what was
 * hidden from git's status by `update-index --assume-unchanged` or `--skip-worktree`.
 *
 * @param folder relative to the root; empty for the root itself
 */
export async function changesBelow(root: string, folder: string, commit: string): Promise<Change[]> {
  const below = ["--", pathspec(folder)];
  const git = gitIn(root);
  const status = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"];
  const [said, flagged] = await Promise.all([
    git.raw([...status, "--ignore-submodules=none", ...below]),
    git.raw(["ls-files", "-v", "-z", ...below]),
  ]);
  const changes = fields(said).flatMap(parseChange);
  // A capital H is an ordinary entry; lower case is assumed unchanged; S is not in the working tree, as sparse checkouts have it.
  const hidden = fields(flagged).filter((line) => !/^[HMRCK?U] /.test(line));
  if (hidden.length === 0) return changes;
  return [...changes, ...(await hiddenChanges(root, commit, hidden))];
}

/** Reads a line of `git status --porcelain=v2 -z`. */
export function parseChange(line: string): Change[] {
  if (line.startsWith("? ")) return [{ text: `?? ${line.slice(2)}`, inSubmodule: false }];
  const ordinary = /^(?:1|u) (..) (N|S)(.)(.)(.) (?:\S+ )+?(?:[0-9a-f]{40,} )+(.*)$/s.exec(line);
  if (!ordinary) return [];
  const [, both, kind, , modified, untracked, path] = ordinary;
  const inSubmodule = kind === "S" && (modified === "M" || untracked === "U");
  return [
    { text: `${both!.replaceAll(".", " ")} ${path}${inSubmodule ? " (its own files)" : ""}`, inSubmodule },
  ];
}

/** What an index without flags says of the entries that have some. */
async function hiddenChanges(root: string, commit: string, flagged: readonly string[]): Promise<Change[]> {
  const flags = new Map(flagged.map((line) => [line.slice(2), line[0]!]));
  const there = await present(root, [...flags.keys()]);
  return withIndex(root, commit, [], async (env) => {
    await gitWith(root, ["update-index", "-q", "--refresh"], { env }).catch(() => {
      // Its status says that some differ, which the next command tells in full.
    });
    const differs = fields(
      await gitWith(root, ["diff-files", "-z", "--name-only", "--ignore-submodules"], { env }),
    );
    return (
      differs
        .filter((path) => flags.has(path))
        // A sparse checkout leaves files out on purpose.
        .filter((path) => there.has(path) || flags.get(path)!.toUpperCase() !== "S")
        .map((path) => ({
          text: `${there.has(path) ? " M" : " D"} ${path} (hidden by update-index ${
            flags.get(path)!.toUpperCase() === "S" ? "--skip-worktree" : "--assume-unchanged"
          })`,
          inSubmodule: false,
        }))
    );
  });
}

/** Writes the working tree below the given folder as a git tree on top of the commit, through an index of its own. */
export async function snapshotTree(root: string, folder: string, commit: string): Promise<string> {
  const lines = fields(await gitIn(root).raw(["ls-files", "-v", "-z"]));
  const sparse = lines.filter((line) => /^s/i.test(line)).map((line) => line.slice(2));
  const there = await present(root, sparse);
  const absent = sparse.filter((path) => !there.has(path));
  return withIndex(root, commit, absent, async (env) => {
    await gitWith(root, ["add", "--all", "--", pathspec(folder)], { env });
    return (await gitWith(root, ["write-tree"], { env })).trim();
  });
}

/**
 * Works with an index of its own that holds the commit.
 *
 * @param absent what a sparse checkout left out: it is no deletion
 */
async function withIndex<T>(
  root: string,
  commit: string,
  absent: readonly string[],
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "watch-party-index-"));
  try {
    const env = { GIT_INDEX_FILE: join(folder, "index") };
    await gitWith(root, ["read-tree", commit], { env });
    if (absent.length > 0) {
      const input = absent.map((path) => `${path}\0`).join("");
      await gitWith(root, ["update-index", "-z", "--skip-worktree", "--stdin"], { env, input });
    }
    return await work(env);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function present(root: string, paths: readonly string[]): Promise<Set<string>> {
  const found = await Promise.all(
    paths.map((path) =>
      lstat(join(root, path)).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return new Set(found.flat());
}

/** A path of the checkout as it is, whatever characters it holds. */
function pathspec(path: string): string {
  return `:(top,literal)${path}`;
}
