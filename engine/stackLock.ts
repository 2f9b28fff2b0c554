import { commandLine } from "../freshness/project";
import type { DockerEngine } from "./docker";
import { withCode } from "./errorCodes";
import { ignoreMissing } from "./problems";
import { collect, readTar } from "./tarFiles";

/** In the edge's volume, so that whoever deploys from wherever finds it. */
const LOCK_FILE = "/edge/lock.json";

/** A lock that somebody has set, and only somebody takes away. */
export interface StackLock {
  readonly message: string;
  readonly by: string;
  /** ISO 8601. */
  readonly since: string;
}

/**
 * Reads the lock of a stack, also from an edge that is stopped; undefined without one, or without the edge. Costs one question
 * and no process.
 */
export async function readLock(engine: DockerEngine, edge: string): Promise<StackLock | undefined> {
  const read = engine.archive(edge, LOCK_FILE, async (output) => {
    let content = "";
    for await (const { body } of readTar(output)) content += String(await collect(body));
    return content;
  });
  const said = await read.catch(ignoreMissing);
  if (said === undefined || said.trim() === "") return undefined;
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
      `Wait with "${commandLine(`up --stack ${stack} --wait-lock`)}", or take the lock away with "${commandLine(`unlock --stack ${stack}`)}"`,
  );
}
