import { posix } from "node:path";
import type { FileVersion } from "../freshness/bytes/leftovers";
import { fields, gitWith, settingOf } from "./git";

/** With more paths than this it is faster to search the whole folder. */
const MOST_PATHS = 100;

/** Timeout for searching the history, in milliseconds. */
const PATIENCE_MS = 30_000;

/** What earlier commits know about files. */
export interface Earlier {
  /** The files that a commit had at the same path with the same content. */
  readonly files: readonly FileVersion[];
  /** Whether all commits are present and were searched in time. */
  readonly whole: boolean;
}

/**
 * Looks up files in a commit and all its ancestors.
 *
 * @param context folder that the paths are relative to, relative to the root
 */
export async function earlierVersions(
  checkout: { readonly root: string; readonly commit: string },
  context: string,
  wanted: readonly FileVersion[],
): Promise<Earlier> {
  if (wanted.length === 0) return { files: [], whole: true };
  const { root, commit } = checkout;
  const stored = await storedOf(root, wanted);
  const paths = [...new Set(stored.map(({ path }) => posix.join(context, path)))];
  const asked = paths.length > MOST_PATHS ? [context || "."] : paths;
  const log = stored.length === 0 ? "" : logOf(root, commit, asked);
  const [said, shallow] = await Promise.all([log, gitWith(root, ["rev-parse", "--is-shallow-repository"])]);
  if (said === undefined) return { files: [], whole: false };
  const known = new Set<string>();
  const found = fields(said);
  // `:100644 100644 OLD NEW M`, then the path.
  for (const [at, field] of found.entries()) {
    const [, , before, after] = field.trim().split(" ");
    if (field.trim().startsWith(":"))
      for (const hash of [before, after]) known.add(`${hash} ${found[at + 1]}`);
  }
  const files = wanted.filter(({ path, hash }) => known.has(`${hash} ${posix.join(context, path)}`));
  return { files, whole: shallow.trim() === "false" };
}

/** The changes of paths in a commit and its ancestors, as git's raw output; undefined if git takes too long or fails. */
async function logOf(root: string, commit: string, paths: readonly string[]): Promise<string | undefined> {
  const raw = ["--format=", "--raw", "--no-abbrev", "--no-renames", "--full-history", "-m", "-z"];
  try {
    return await gitWith(root, ["--literal-pathspecs", "log", ...raw, commit, "--", ...paths], {
      timeout: PATIENCE_MS,
    });
  } catch {
    // The certificate then says that the history was not searched as a whole.
    return undefined;
  }
}

/** Files whose content exists in this repository: no commit has the output of a tool. */
async function storedOf(root: string, wanted: readonly FileVersion[]): Promise<readonly FileVersion[]> {
  // A partial clone would download each of them.
  if ((await settingOf(root, "extensions.partialclone")) !== undefined) return wanted;
  const input = wanted.map(({ hash }) => `${hash}\n`).join("");
  const said = (await gitWith(root, ["cat-file", "--batch-check", "--buffer"], { input })).split("\n");
  return wanted.filter((_, at) => / blob \d+$/.test(said[at] ?? ""));
}
