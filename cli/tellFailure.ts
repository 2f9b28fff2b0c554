import { secretsOf } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { maskOf } from "../engine/mask";
import type { StackEvent } from "../freshness/events";
import { type HookFacts, runHook } from "../release/hooks";
import { readIntent } from "../release/intent";
import { notify } from "../release/notify";
import { resolveCheckout } from "../source/checkout";
import { readStackConfig, stackName } from "./project";
import { readRecord, readSecretConfig } from "./state";

/** Writes a warning to stderr. */
export function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`);
}

/** Runs the hook afterFailure, and tells the webhooks. Reads the secrets only if the stack has one of them. */
export async function tellFailure(stack: string, errors: readonly string[]): Promise<void> {
  const { hooks, notify: webhooks } = readStackConfig(stack);
  if (hooks?.afterFailure === undefined && webhooks === undefined) return;
  try {
    const config = await readSecretConfig(stack);
    const [commit, previous] = await Promise.all([
      readIntent().rollback === undefined
        ? resolveCheckout(config).then(({ identity }) => identity, nothing)
        : undefined,
      readRecord(stack).then(({ current }) => current.commit, nothing),
    ]);
    const error = maskOf(secretsOf(config))(errors[0] ?? "");
    const facts = { stack: stackName(stack), url: config.publicUrl, commit, previous, error };
    await afterFailure(config, facts);
    await notify(config, { event: "refused", ...facts } satisfies StackEvent, warn);
  } catch (cause) {
    warn((cause as Error).message);
  }
}

async function afterFailure(config: DeployConfig, facts: HookFacts): Promise<void> {
  const say = (line: string) => void process.stderr.write(`hook afterFailure: ${line}\n`);
  const mask = maskOf(secretsOf(config));
  await runHook(config.hooks, "afterFailure", facts, { mask, say }).catch((cause: Error) =>
    warn(cause.message),
  );
}

/** What is unknown is left out. */
function nothing(): undefined {}
