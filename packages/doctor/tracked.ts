import { fields, gitWith } from "../../source/git";

/** Time limit in case the index is a pipe without a writer. */
const PATIENCE_MS = 10_000;

/**
 * The tracked files below a folder, and the untracked ones that git does not ignore; undefined if the folder is not a
 * checkout.
 */
export async function trackedFiles(
  folder: string,
): Promise<{ readonly tracked: string[]; readonly others: string[] } | undefined> {
  const list = async (...args: string[]) =>
    fields(await gitWith(folder, ["ls-files", "-z", ...args], { timeout: PATIENCE_MS }));
  try {
    const [tracked, others] = await Promise.all([list("--cached"), list("--others", "--exclude-standard")]);
    // A folder that its enclosing checkout ignores is not part of it.
    return tracked.length + others.length > 0 ? { tracked, others } : undefined;
  } catch {
    // Not a checkout, or git is missing.
    return undefined;
  }
}
