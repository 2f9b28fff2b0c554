import { spawn } from "node:child_process";
import { childEnvironment } from "../config/environment";
import type { DeployConfig } from "../config/types";
import { MaskedLines } from "../engine/mask";
import { endGroup } from "../engine/processGroup";
import { NAMESPACE } from "../freshness/project";

type Hooks = NonNullable<DeployConfig["hooks"]>;
export type HookName = "beforeBuild" | "beforeSwitch" | "afterSwitch" | "afterFailure";

/** What a hook's command finds in its environment. */
export interface HookFacts {
  readonly stack: string;
  readonly url: string;
  readonly commit?: string;
  /** The release's ID, once it is known. */
  readonly release?: string;
  /** The commit that serves, or served before; absent before the first release. */
  readonly previous?: string;
  /** Why the deploy failed. */
  readonly error?: string;
}

/** How output of a hook is passed on. */
interface Telling {
  /** Masks secrets. */
  readonly mask: (text: string) => string;
  /** Receives each line as it comes. */
  readonly say: (line: string) => void;
}

/**
 * Runs a hook, if the configuration has it.
 *
 * @throws Error if its command fails or takes too long
 */
export async function runHook(
  hooks: Hooks | undefined,
  name: HookName,
  facts: HookFacts,
  { mask, say }: Telling,
): Promise<void> {
  const command = hooks?.[name];
  if (hooks === undefined || command === undefined) return;
  const [program = "", ...args] = command;
  const lines = new MaskedLines(mask, say);
  // A group of its own, so that what the command started ends with it.
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: childEnvironment("ssh", variablesOf(hooks, name, facts)),
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Uint8Array) => lines.write(chunk));
  let isLate = false;
  const end = () => endGroup(child.pid);
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, hooks.seconds * 1000);
  // It does not outlive the program.
  process.once("exit", end);
  try {
    const status = await new Promise<string>((resolve) => {
      child.on("error", (cause) => resolve(cause.message));
      child.on("close", (code, signal) => resolve(code === 0 ? "" : `exit ${code ?? signal}`));
    });
    lines.end();
    if (isLate)
      throw new Error(`hook ${name}: not done within ${hooks.seconds} s (${NAMESPACE}:hooks.seconds)`);
    if (status !== "") throw new Error(`hook ${name}: ${mask(command.join(" "))} failed: ${status}`);
  } finally {
    clearTimeout(timer);
    process.off("exit", end);
  }
}

/** Variables that any program needs, those that the configuration names, and what is deployed. No secret of the deploy. */
function variablesOf(hooks: Hooks, name: HookName, facts: HookFacts): Record<string, string> {
  const given = hooks.env.flatMap((each) => {
    const value = process.env[each];
    return value === undefined ? [] : [[each, value] as const];
  });
  const said = {
    DEPLOY_HOOK: name,
    DEPLOY_STACK: facts.stack,
    DEPLOY_URL: facts.url,
    DEPLOY_COMMIT: facts.commit,
    DEPLOY_RELEASE: facts.release,
    DEPLOY_PREVIOUS_COMMIT: facts.previous,
    DEPLOY_ERROR: facts.error,
  };
  const known = Object.entries(said).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries([...given, ...known]);
}
