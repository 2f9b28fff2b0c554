import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gitWith } from "../source/git";
import { ToolchainError } from "./errors";

/** The shell scripts that git tracks: by their name, or by what their first line says. */
export async function shellScripts(project: string): Promise<string[]> {
  const listed = await gitWith(project, ["ls-files", "-z"]).catch((cause: Error) => {
    throw new ToolchainError(`listing the project's files: ${cause.message}`, "Check in a git checkout.");
  });
  return listed.split("\0").filter((path) => {
    const file = join(project, path);
    // A file that is tracked may be gone; a submodule is a folder.
    if (path === "" || !statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
    return isShellScript(path, () => readFileSync(file).subarray(0, 80).toString("latin1"));
  });
}

/** @param head reads how the file begins */
export function isShellScript(path: string, head: () => string): boolean {
  if (/\.(sh|bash)$/.test(path)) return true;
  // A name with another ending says what it is.
  if (/\.[A-Za-z]\w*$/.test(path.replace(/^.*\//, "").replace(/^\./, ""))) return false;
  return /^#!\s*\S*\/(env +(-S +)?)?(sh|bash|dash|ksh)\b/.test(head());
}
