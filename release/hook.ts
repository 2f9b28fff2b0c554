import * as pulumi from "@pulumi/pulumi";
import { secretsOf } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { maskOf } from "../engine/mask";
import { shortIdentity } from "../source/checkout";
import { CommandLog } from "./commandLog";
import { type HookName, runHook } from "./hooks";
import type { DeployRecord } from "./record";

/** What a deploy knows when it runs a hook. */
interface Moment {
  readonly commit: string;
  /** The release's ID, once it is known. */
  readonly release?: string;
  /** The record of the last deploy. */
  readonly last?: DeployRecord;
}

/**
 * Runs a hook of the running stack, with its output in the deploy's log.
 *
 * @throws RunError if it fails
 */
export async function hook(
  config: DeployConfig,
  name: HookName,
  { commit, release, last }: Moment,
): Promise<void> {
  if (config.hooks?.[name] === undefined) return;
  const log = new CommandLog(`hook ${name}`);
  const facts = {
    stack: pulumi.getStack(),
    url: config.publicUrl,
    commit,
    release,
    previous: last?.current.commit,
  };
  const mask = maskOf(secretsOf(config));
  try {
    await runHook(config.hooks, name, facts, { mask, say: log.say }).finally(() => log.flush());
  } catch (cause) {
    const ends = name.startsWith("before") ? `; ${shortIdentity(commit)} is not deployed` : "";
    throw new pulumi.RunError(`${(cause as Error).message}${ends}`);
  }
}
