import { createHash } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";

/** Holds the files of each stack's deploys. */
const WORK = ".work";

/** Makes the folder of all stacks readable by this user only: it holds the apps' sources. */
export async function makeWorkPrivate(): Promise<void> {
  await mkdir(WORK, { recursive: true, mode: 0o700 });
  await chmod(WORK, 0o700);
}

/** Folder of a stack's generated files: contexts, the last certificate. Relative to the project, git-ignored. */
export function workFolder(stack: string): string {
  return join(WORK, stack);
}

/** Folder of the ssh files for a stack's server. Short, because a socket's path has at most 107 bytes. */
export function sshFolder(stack: string): string {
  return join(WORK, ".ssh", createHash("sha256").update(stack).digest("hex").slice(0, 8));
}
