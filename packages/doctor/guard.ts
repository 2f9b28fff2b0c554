import { createContext, Script } from "node:vm";

/** Time limit in milliseconds. All rules together take less for a file written by a person. */
export const LIMIT_MS = 1200;

const CALL = new Script("task()");
const context: { task: () => void } = createContext({ task: () => undefined }) as { task: () => void };
let isRunning = false;

type Outcome<T> = { readonly value: T } | { readonly problem: string };

/**
 * Runs a rule on an untrusted file with a time limit that stops even a regular expression or a loop. A stack overflow
 * ends it too.
 * @param limit in milliseconds
 * @returns its result, or why there is none
 */
export function guarded<T>(task: () => T, limit = LIMIT_MS): Outcome<T> {
  // Nested calls share the outer limit.
  if (isRunning) return attempt(task);
  const before = process.cpuUsage();
  const outcome = limited(task, limit);
  const { user, system } = process.cpuUsage(before);
  // The limit is of the clock. On a machine that is busy with other things the task has had little of it.
  const isStarved = "problem" in outcome && (user + system) / 1000 < limit / 2;
  return isStarved ? limited(task, limit * 2) : outcome;
}

function limited<T>(task: () => T, limit: number): Outcome<T> {
  let result: Outcome<T> | undefined;
  context.task = () => {
    result = attempt(task);
  };
  isRunning = true;
  try {
    CALL.runInContext(context, { timeout: Math.max(1, Math.ceil(limit)) });
  } catch {
    return { problem: `it takes too long to read` };
  } finally {
    isRunning = false;
  }
  return result ?? { problem: "it cannot be read" };
}

function attempt<T>(task: () => T): Outcome<T> {
  try {
    return { value: task() };
  } catch (cause) {
    const { name, message } = cause as Error;
    return {
      problem: name === "RangeError" ? "it is nested too deeply" : `it cannot be read: ${message}`,
    };
  }
}
