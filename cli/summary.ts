import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";

type Environment = Readonly<Record<string, string | undefined>>;

/** Adds to the summary of the CI job; elsewhere there is none. */
export function summarize(markdown: string, env: Environment = process.env): void {
  if (env.GITHUB_STEP_SUMMARY) appendFileSync(env.GITHUB_STEP_SUMMARY, `${markdown}\n`);
}

/** Gives a text to the later steps of the CI job; elsewhere there are none. */
export function setOutput(name: string, value: string, env: Environment = process.env): void {
  if (!env.GITHUB_OUTPUT) return;
  // The text is partly of others: they must not know how it ends.
  const end = randomUUID();
  appendFileSync(env.GITHUB_OUTPUT, `${name}<<${end}\n${value}\n${end}\n`);
}
