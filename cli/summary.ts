import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";

type Environment = Readonly<Record<string, string | undefined>>;

/** Appends to the CI job's summary; does nothing elsewhere. */
export function summarize(markdown: string, env: Environment = process.env): void {
  if (env.GITHUB_STEP_SUMMARY) appendFileSync(env.GITHUB_STEP_SUMMARY, `${markdown}\n`);
}

/** Sets an output of the CI step; does nothing elsewhere. */
export function setOutput(name: string, value: string, env: Environment = process.env): void {
  if (!env.GITHUB_OUTPUT) return;
  // A random delimiter, because others control parts of the text.
  const end = randomUUID();
  appendFileSync(env.GITHUB_OUTPUT, `${name}<<${end}\n${value}\n${end}\n`);
}
