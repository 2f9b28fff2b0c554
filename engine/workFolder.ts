import { createHash } from "node:crypto";
import { join } from "node:path";

/** Where a stack's files lie that are made anew when they are missing: contexts, the last certificate. Relative to the project, git-ignored. */
export function workFolder(stack: string): string {
  return join(".work", stack);
}

/** What ssh needs to reach a stack's server; short, for the path of a socket has 107 bytes at most. */
export function sshFolder(stack: string): string {
  return join(".work", ".ssh", createHash("sha256").update(stack).digest("hex").slice(0, 8));
}
