import { createHash } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";

/** Holds what each stack's deploys write. */
const WORK = ".work";

/** Makes the folder of all stacks readable by this user alone: contexts hold the app's sources, certificates its addresses. */
export async function makeWorkPrivate(): Promise<void> {
  await mkdir(WORK, { recursive: true, mode: 0o700 });
  await chmod(WORK, 0o700);
}

/** Where a stack's files lie that are made anew when they are missing: contexts, the last certificate. Relative to the project, git-ignored. */
export function workFolder(stack: string): string {
  return join(WORK, stack);
}

/** What ssh needs to reach a stack's server; short, for the path of a socket has 107 bytes at most. */
export function sshFolder(stack: string): string {
  return join(WORK, ".ssh", createHash("sha256").update(stack).digest("hex").slice(0, 8));
}
