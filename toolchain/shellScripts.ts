import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gitWith } from "../source/git";
import { ToolchainError } from "./errors";

/** The shell scripts that git tracks, by their names or their first lines. */
export async function shellScripts(project: string): Promise<string[]> {
  const listed = await gitWith(project, ["ls-files", "-z"]).catch((cause: Error) => {
    throw new ToolchainError(`listing the project's files: ${cause.message}`, "Check in a git checkout.");
  });
  return listed.split("\0").filter((path) => {
    const file = join(project, path);
    // A tracked file may be deleted. A submodule is a folder.
    if (path === "" || !statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
    return isShellScript(path, () => readFileSync(file).subarray(0, 80).toString("latin1"));
  });
}

/** @param head reads the beginning of the file */
export function isShellScript(path: string, head: () => string): boolean {
  if (/\.(sh|bash)$/.test(path)) return true;
  // Another extension identifies another file type.
  if (/\.[A-Za-z]\w*$/.test(path.replace(/^.*\//, "").replace(/^\./, ""))) return false;
  return /^#!\s*\S*\/(env +(-S +)?)?(sh|bash|dash|ksh)\b/.test(head());
}
