import { baseCommit } from "./checkout";
import { git } from "./git";

/** A commit, as a list names it. */
export interface ListedCommit {
  readonly id: string;
  readonly subject: string;
}

/**
 * The commits that one identity has and another lacks, the newest first, without merges.
 *
 * @returns undefined where this checkout lacks one of the two
 */
export async function commitsBetween(
  root: string,
  older: string,
  newer: string,
): Promise<ListedCommit[] | undefined> {
  const [from, to] = [older, newer].map(baseCommit);
  const log = await git(root, ["log", "--no-merges", "--format=%H %s", `${from}..${to}`]).catch(
    () => undefined,
  );
  return log
    ?.split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ id: line.slice(0, line.indexOf(" ")), subject: line.slice(line.indexOf(" ") + 1) }));
}
