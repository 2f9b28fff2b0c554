import { lstat, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fields, git, gitBytes, gitWith } from "./git";
import { pointerOf, sha256 } from "./largeFiles";
import { ifReadable } from "./readable";

/** A difference between the working tree and the commit. */
export interface Change {
  /** In the form of git's status: ` M path`, `?? path`. */
  readonly text: string;
  /** Whether files inside a submodule changed: a tree of the checkout holds only the submodule's commit. */
  readonly inSubmodule: boolean;
}

/**
 * Differences from the commit below a folder: changed, staged and untracked files, submodules, and files hidden by
 * `update-index --assume-unchanged` or `--skip-worktree`.
 *
 * @param folder relative to the root; empty for the root itself
 * @param filters runs the configured git filters; without it, a filtered file may appear as changed
 */
export async function changesBelow(
  root: string,
  folder: string,
  commit: string,
  filters = false,
): Promise<Change[]> {
  const [changes, flagged] = await Promise.all([
    ownChanges(root, folder, filters),
    git(root, ["ls-files", "-v", "-s", "-z", "--", pathspec(folder)]),
  ]);
  const entries = fields(flagged).map((line) => {
    const [, flag = "", mode = "", path = ""] = /^(\S) (\d+) \S+ \d\t(.*)$/s.exec(line) ?? [];
    return { flag, mode, path };
  });
  const submodules = await Promise.all(
    entries
      .filter(({ mode }) => mode === "160000")
      .map(async ({ path }) => ((await isChanged(join(root, path), filters)) ? [path] : [])),
  );
  const inside = submodules.flat().map((path) => ({ text: ` M ${path} (its own files)`, inSubmodule: true }));
  // `H` is an ordinary entry, lower case is assume-unchanged, `S` is skip-worktree, as in sparse checkouts.
  const hidden = entries.filter(({ flag }) => !/^[HMRCK?U]$/.test(flag));
  const all = [...changes, ...inside];
  if (hidden.length === 0) return all;
  const told = hidden.map(({ flag, path }) => `${flag} ${path}`);
  return [...all, ...(await hiddenChanges(root, commit, told))];
}

/** Git's status of a checkout without its submodules: inside them git would use their own configuration. */
async function ownChanges(root: string, folder: string, filters: boolean): Promise<Change[]> {
  const status = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"];
  const asked = [...status, "--ignore-submodules=dirty", "--", pathspec(folder)];
  const said = fields(await gitWith(root, asked, { filters }));
  const same = filters ? new Set<string>() : await unchangedFiltered(root, said);
  return said.filter((line) => !same.has(line)).flatMap(parseChange);
}

/** Whether a submodule's own files differ from its commit, including nested submodules. */
async function isChanged(root: string, filters: boolean): Promise<boolean> {
  const isCheckedOut = await lstat(join(root, ".git")).then(
    () => true,
    () => false,
  );
  if (!isCheckedOut) return false;
  if ((await ownChanges(root, "", filters)).length > 0) return true;
  const listed = fields(await git(root, ["ls-files", "-s", "-z"]));
  const links = listed.flatMap((line) =>
    line.startsWith("160000 ") ? [line.slice(line.indexOf("\t") + 1)] : [],
  );
  const changed = await Promise.all(links.map((path) => isChanged(join(root, path), filters)));
  return changed.includes(true);
}

/**
 * Status lines of files that equal the commit although their bytes differ. Git would run a filter to find out, which
 * this clone's configuration could point to any program. LFS files are compared by their pointers. For other files
 * git's index has size and time, and git reads the bytes only if it wrote the index in the same moment.
 */
async function unchangedFiltered(root: string, lines: readonly string[]): Promise<Set<string>> {
  const touched = lines.flatMap((line) => {
    const [, hash, path] = /^1 \.M N\.\.\. 100\d+ (?:100\d+ ){2}\S+ ([0-9a-f]{40,}) (.*)$/s.exec(line) ?? [];
    return hash !== undefined && path !== undefined ? [{ line, hash, path }] : [];
  });
  const filters = await filtersIn(
    root,
    touched.map(({ path }) => path),
  );
  const same = new Set<string>();
  for (const { line, hash, path } of touched) {
    const filter = filters.get(path);
    if (filter === undefined) continue;
    const isSame = filter === "lfs" ? isPointedAt(root, hash, path) : isAsWritten(root, path);
    if (await isSame) same.add(line);
  }
  return same;
}

/** Path → its filter by the working tree's attributes. */
async function filtersIn(root: string, paths: readonly string[]): Promise<Map<string, string>> {
  if (paths.length === 0) return new Map();
  const input = paths.map((path) => `${path}\0`).join("");
  const said = (await gitWith(root, ["check-attr", "-z", "--stdin", "filter"], { input })).split("\0");
  const named = paths.map((path, at) => [path, said[at * 3 + 2] ?? "unspecified"] as const);
  return new Map(named.filter(([, filter]) => !["unspecified", "unset", "set"].includes(filter)));
}

/** Whether a file has the size and time recorded in git's index. */
async function isAsWritten(root: string, path: string): Promise<boolean> {
  const said = await git(root, ["ls-files", "--debug", "--", pathspec(path)]);
  const [, seconds, nanoseconds] = /^ {2}mtime: (\d+):(\d+)$/m.exec(said) ?? [];
  const [, size] = /^ {2}size: (\d+)\t/m.exec(said) ?? [];
  const stats = await ifReadable(lstat(join(root, path), { bigint: true }));
  if (!stats?.isFile() || seconds === undefined || nanoseconds === undefined || size === undefined)
    return false;
  return (
    stats.mtimeNs === BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds) && stats.size === BigInt(size)
  );
}

/** Whether a file has the content that an LFS pointer names. */
async function isPointedAt(root: string, pointer: string, path: string): Promise<boolean> {
  const file = join(root, path);
  const size = Number(await gitWith(root, ["cat-file", "-s", pointer]));
  if (size > 1024) return false;
  const oid = pointerOf(await gitBytes(root, ["cat-file", "blob", pointer]));
  const stats = await ifReadable(lstat(file));
  return oid !== undefined && stats?.isFile() === true && (await sha256(file)) === oid;
}

/** Reads a line of `git status --porcelain=v2 -z`. */
export function parseChange(line: string): Change[] {
  if (line.startsWith("? ")) return [{ text: `?? ${line.slice(2)}`, inSubmodule: false }];
  const [, both, kind, , modified, untracked, path] =
    /^(?:1|u) (..) (N|S)(.)(.)(.) (?:\S+ )+?(?:[0-9a-f]{40,} )+(.*)$/s.exec(line) ?? [];
  if (both === undefined) return [];
  const inSubmodule = kind === "S" && (modified === "M" || untracked === "U");
  return [
    { text: `${both.replaceAll(".", " ")} ${path}${inSubmodule ? " (its own files)" : ""}`, inSubmodule },
  ];
}

/** Status of entries with flags, from an index without flags. */
async function hiddenChanges(root: string, commit: string, flagged: readonly string[]): Promise<Change[]> {
  const flags = new Map(flagged.map((line) => [line.slice(2), line.charAt(0).toUpperCase()]));
  const there = await present(root, [...flags.keys()]);
  return withIndex(root, commit, [], async (env) => {
    await gitWith(root, ["update-index", "-q", "--refresh"], { env }).catch(() => {
      // The status shows that some differ; the next command lists them.
    });
    const differs = fields(
      await gitWith(root, ["diff-files", "-z", "--name-only", "--ignore-submodules"], { env }),
    );
    return differs.flatMap((path) => {
      const flag = flags.get(path);
      const isThere = there.has(path);
      // A sparse checkout leaves files out on purpose.
      if (flag === undefined || (!isThere && flag === "S")) return [];
      const option = flag === "S" ? "--skip-worktree" : "--assume-unchanged";
      return [
        {
          text: `${isThere ? " M" : " D"} ${path} (hidden by update-index ${option})`,
          inSubmodule: false,
        },
      ];
    });
  });
}

/** Writes the working tree below a folder as a git tree on top of the commit, with a temporary index. */
export async function snapshotTree(
  root: string,
  folder: string,
  commit: string,
  filters = false,
): Promise<string> {
  const lines = fields(await git(root, ["ls-files", "-v", "-z"]));
  const sparse = lines.filter((line) => /^s/i.test(line)).map((line) => line.slice(2));
  const there = await present(root, sparse);
  const absent = sparse.filter((path) => !there.has(path));
  return withIndex(root, commit, absent, async (env) => {
    const kept = filters ? [] : await unchangedPointers(root, folder);
    const input = [pathspec(folder), ...kept.map((path) => `:(top,exclude,literal)${path}`)].join("\0");
    const list = ["--pathspec-from-file=-", "--pathspec-file-nul"];
    await gitWith(root, ["add", "--all", ...list], { env, input, filters });
    return (await gitWith(root, ["write-tree"], { env })).trim();
  });
}

/** LFS files that equal the commit: their pointers stay, and their contents are not stored as objects. */
async function unchangedPointers(root: string, folder: string): Promise<string[]> {
  const listed = fields(await git(root, ["ls-files", "-s", "-z", "--", pathspec(folder)]));
  const entries = listed.flatMap((line) => {
    const [, hash, path] = /^100\d+ (\S+) 0\t(.*)$/s.exec(line) ?? [];
    return hash !== undefined && path !== undefined ? [{ hash, path }] : [];
  });
  const filters = await filtersIn(
    root,
    entries.map(({ path }) => path),
  );
  const kept: string[] = [];
  for (const { hash, path } of entries)
    if (filters.get(path) === "lfs" && (await isPointedAt(root, hash, path))) kept.push(path);
  return kept;
}

/**
 * Runs with a temporary index that holds the commit.
 *
 * @param absent files outside a sparse checkout, which are not deletions
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

/** A literal pathspec, whatever characters the path has. */
function pathspec(path: string): string {
  return `:(top,literal)${path}`;
}
