import { baseCommit } from "./checkout";
import { git } from "./git";

/** A commit in a list. */
export interface ListedCommit {
  readonly id: string;
  readonly subject: string;
}

/**
 * Commits that one version has and another lacks, newest first, without merges.
 *
 * @returns undefined if the checkout lacks one of the two
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
