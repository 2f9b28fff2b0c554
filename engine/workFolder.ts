import { join } from "node:path";

/** Where a stack's files lie that are made anew when they are missing: contexts, keys, the last certificate. Relative to the project, git-ignored. */
export function workFolder(stack: string): string {
  return join(".work", stack);
}

/** What ssh needs to reach a stack's server. */
export function sshFolder(stack: string): string {
  return join(workFolder(stack), "ssh");
}
