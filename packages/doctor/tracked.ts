import { fields, gitWith } from "../../source/git";

/** An index may be a pipe that nobody writes to. */
const PATIENCE_MS = 10_000;

/** The files that git tracks below a folder, and those that it would take; undefined where the folder is no checkout. */
export async function trackedFiles(
  folder: string,
): Promise<{ readonly tracked: string[]; readonly others: string[] } | undefined> {
  const list = async (...args: string[]) =>
    fields(await gitWith(folder, ["ls-files", "-z", ...args], { timeout: PATIENCE_MS }));
  try {
    const [tracked, others] = await Promise.all([list("--cached"), list("--others", "--exclude-standard")]);
    // A folder that the checkout around it ignores is not part of it.
    return tracked.length + others.length > 0 ? { tracked, others } : undefined;
  } catch {
    // No checkout, or no git.
    return undefined;
  }
}
