import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NAMESPACE } from "../config/types";
import { type Holder, isStale } from "./locks";
import { stackName } from "./project";

/**
 * Whether a deploy of a stack is under way, from its lock if the state's backend is a folder.
 *
 * @returns undefined with another backend, whose locks are unknown
 */
export function isUnderWay(
  stack: string,
  backend = process.env.PULUMI_BACKEND_URL ?? "",
): boolean | undefined {
  if (!backend.startsWith("file:///")) return undefined;
  const folder = join(
    fileURLToPath(backend),
    ".pulumi",
    "locks",
    "organization",
    NAMESPACE,
    stackName(stack),
  );
  if (!existsSync(folder)) return false;
  const holders = readdirSync(folder).flatMap((file) => readHolder(join(folder, file)));
  return holders.length > 0 && !isStale(holders, backend);
}

/** Content of the CLI's lock file; nothing if it was removed meanwhile. */
function readHolder(file: string): Holder[] {
  try {
    const { pid, username, hostname, timestamp } = JSON.parse(readFileSync(file, "utf8"));
    return [{ pid, user: username, host: hostname, since: timestamp }];
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}
