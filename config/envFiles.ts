import { existsSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { parseDotenv } from "./dotenv";
import { NAMESPACE } from "./types";

/** The largest file that is read, in bytes. */
const LARGEST = 1024 * 1024;

/** What the files of a service hold. */
interface EnvFiles {
  readonly values: Readonly<Record<string, string>>;
  /** What is wrong in a file that is there. */
  readonly problems: readonly string[];
  /** Files that `up` needs and that are not there: a preview does without. */
  readonly missing: readonly string[];
}

/**
 * Reads files of environment variables. A later file overrides an earlier one.
 *
 * @param key the configuration's key, for messages
 * @param folder the folder of the stack's configuration, which relative paths begin at
 */
export function readEnvFiles(files: readonly string[], key: string, folder: string): EnvFiles {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  const missing: string[] = [];
  for (const file of files) {
    const path = resolve(folder, file);
    const at = `${NAMESPACE}:${key} names the file ${file}`;
    if (!existsSync(path)) {
      missing.push(`${at}, which is not there; allowed: a file beside the stack's configuration`);
      continue;
    }
    const found = statSync(path);
    if (!found.isFile() || found.size > LARGEST) {
      problems.push(`${at}, which is no file of at most 1 MiB; allowed: lines of NAME=value`);
      continue;
    }
    const read = parseDotenv(readFileSync(path, "utf8"), (name) => process.env[name]);
    Object.assign(values, read.values);
    problems.push(...read.problems.map((each) => `${at}; ${each}`));
  }
  return { values, problems, missing };
}
