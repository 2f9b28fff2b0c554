import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hideArgs } from "../engine/buildLog";
import { hasCode } from "../engine/errorCodes";
import { cutOff, previewNeedsEngine } from "../engine/problems";
import { buildLogsOf, changesOf, errorsOf, type ResourceChange } from "./events";
import { isStale, lockedBy, lockHolders } from "./locks";
import { pulumi, readStackConfig, restoreState } from "./project";

/** Result of `pulumi up` or `preview`. */
export interface Outcome {
  /** 0, or 1 after a failure. */
  readonly status: number;
  /** Errors, each with its resource. */
  readonly errors: readonly string[];
  /** Whether it began nothing because somebody else holds the stack. */
  readonly locked?: boolean;
  /** Changes, each with its resource. */
  readonly changes: readonly ResourceChange[];
}

/**
 * Runs `pulumi up` or `preview` of a stack, and collects the errors, which the CLI prints on stdout with everything
 * else.
 *
 * Removes the lock of a deploy of this machine that was killed, and restores the state that it left half-written. Any
 * other lock stays.
 */
export async function operate(
  stack: string,
  args: readonly string[],
  output?: "inherit" | "stderr",
): Promise<Outcome> {
  // The docker plugin shows the output of a build's steps as its status.
  const { services } = readStackConfig(stack);
  const hide = (line: string) =>
    line.includes("docker:index:Image")
      ? services.reduce((shown, { args }) => hideArgs(shown, args), line)
      : line;
  let first = await attempt([...args, "--stack", stack], output, hide);
  if (/failed to load checkpoint/.test(first.said + first.errors.join()) && restoreState(stack)) {
    process.stderr.write(
      "the last deploy was killed while writing the state; restored the backup of the state\n",
    );
    first = await attempt([...args, "--stack", stack], output, hide);
  }
  const holders = lockHolders(first.said);
  if (holders.length === 0) return first;
  if (!isStale(holders, process.env.PULUMI_BACKEND_URL ?? ""))
    return { ...first, locked: true, errors: [lockedBy(stack, holders)] };
  const [{ pid, since }] = holders as [(typeof holders)[number]];
  process.stderr.write(`the deploy of ${since} (pid ${pid}) was killed; removed its lock\n`);
  await pulumi(["cancel", "--yes", "--stack", stack], "stderr");
  return attempt([...args, "--stack", stack], output, hide);
}

async function attempt(
  args: readonly string[],
  output: "inherit" | "stderr" | undefined,
  hide: (line: string) => string,
): Promise<Outcome & { readonly said: string }> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-events-"));
  const log = join(folder, "events");
  try {
    // Pulumi's own Automation API reads events the same way.
    const env = { PULUMI_DEBUG_COMMANDS: "true" };
    let said = "";
    const hear = (text: string) => {
      said += text;
    };
    const status = await pulumi([...args, "--event-log", log], output, env, hear, hide);
    const events = existsSync(log) ? readFileSync(log, "utf8") : "";
    const changes = changesOf(events);
    if (status === 0) return { status, errors: [], changes, said };
    const errors = [...buildLogsOf(events), ...errorsOf(events)];
    if (errors.some((error) => hasCode(error, "deploys are locked")))
      return { status: 1, locked: true, errors, changes, said };
    const why = (args[0] === "preview" ? previewNeedsEngine(errors) : undefined) ?? cutOff(errors);
    return { status: 1, errors: why === undefined ? errors : [why, ...errors], changes, said };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
