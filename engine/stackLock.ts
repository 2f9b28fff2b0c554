import type { DockerEngine } from "./docker";
import { withCode } from "./errorCodes";

/** In the edge's volume, so that whoever deploys from wherever finds it. */
const LOCK_FILE = "/edge/lock.json";

/** A lock that somebody has set, and only somebody takes away. */
export interface StackLock {
  readonly message: string;
  readonly by: string;
  /** ISO 8601. */
  readonly since: string;
}

/** Reads the lock of a stack; undefined without one. Without one it costs a question to the engine and no process. */
export async function readLock(engine: DockerEngine, edge: string): Promise<StackLock | undefined> {
  if (!(await engine.hasPath(edge, LOCK_FILE))) return undefined;
  const said = await engine.docker(["exec", edge, "sh", "-c", `cat ${LOCK_FILE} 2> /dev/null || true`]);
  if (said.trim() === "") return undefined;
  try {
    const { message, by, since } = JSON.parse(said) as Partial<StackLock>;
    return { message: String(message), by: String(by), since: String(since) };
  } catch {
    return { message: said.trim(), by: "somebody", since: "an unknown time" };
  }
}

/** Sets the lock of a stack. */
export async function writeLock(engine: DockerEngine, edge: string, lock: StackLock): Promise<void> {
  await engine.replaceFile(edge, LOCK_FILE, `${JSON.stringify(lock)}\n`);
}

/** Takes the lock of a stack away. */
export async function removeLock(engine: DockerEngine, edge: string): Promise<void> {
  await engine.docker(["exec", edge, "rm", "-f", LOCK_FILE]);
}

/** Says that a stack is locked, and how to go on. */
export function heldText(stack: string, { message, by, since }: StackLock): string {
  return withCode(
    "deploys are locked",
    `stack ${stack} is locked by ${by} since ${since}: ${message}; nothing was changed. ` +
      `Wait with "npm run up -- --stack ${stack} --wait-lock", or take the lock away with "npm run -s unlock -- --stack ${stack}"`,
  );
}
