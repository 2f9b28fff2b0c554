import { createHash } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";

/** Holds the files of each stack's deploys. */
const WORK = ".work";

/** Makes the folders of all stacks and of one readable by this user only: they hold the apps' sources. */
export async function makeWorkPrivate(stack: string): Promise<void> {
  for (const folder of [WORK, workFolder(stack)]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // An earlier version may have made it readable for others.
    await chmod(folder, 0o700);
  }
}

/** Folder of a stack's generated files: contexts, the last certificate. Relative to the project, git-ignored. */
export function workFolder(stack: string): string {
  return join(WORK, stack);
}

/** Folder of the ssh files for a stack's server. Short, because a socket's path has at most 107 bytes. */
export function sshFolder(stack: string): string {
  return join(WORK, ".ssh", createHash("sha256").update(stack).digest("hex").slice(0, 8));
}
