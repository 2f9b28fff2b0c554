import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hideArgs } from "../engine/buildLog";
import { hasCode } from "../engine/errorCodes";
import { cutOff, previewNeedsEngine } from "../engine/problems";
import { followEvents } from "./display/tail";
import type { Display } from "./display/types";
import { buildLogsOf, changesOf, errorsOf, type ResourceChange } from "./events";
import { isStale, lockedBy, lockHolders } from "./locks";
import { type CliOutput, pulumi, readStackConfig, restoreState } from "./project";

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

/** Masks text of a build. */
export type Hide = (text: string) => string;

/** Pulumi's own output, or a new display for each attempt. */
export type OperateOutput = Exclude<CliOutput, "none"> | ((hide: Hide) => Display);

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
  output?: OperateOutput,
): Promise<Outcome> {
  // The docker plugin shows the output of a build's steps as its status.
  const { services } = readStackConfig(stack);
  const hide = (text: string) => services.reduce((shown, { args }) => hideArgs(shown, args), text);
  let first = await attempt([...args, "--stack", stack], output, hide);
  if (isDamaged(first.said + first.errors.join()) && restoreState(stack)) {
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
  output: OperateOutput | undefined,
  hide: Hide,
): Promise<Outcome & { readonly said: string }> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-events-"));
  const log = join(folder, "events");
  try {
    const { status, said } = await runPulumi([...args, "--event-log", log], log, output, hide);
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

/** Runs the CLI with its own output, or with a display that follows its event log. */
async function runPulumi(
  args: readonly string[],
  log: string,
  output: OperateOutput | undefined,
  hide: Hide,
): Promise<{ readonly status: number; readonly said: string }> {
  // Pulumi's own Automation API reads events the same way.
  const env = { PULUMI_DEBUG_COMMANDS: "true" };
  let said = "";
  const hear = (text: string) => {
    said += text;
  };
  if (typeof output !== "function") {
    const screen = output === "stderr" ? process.stderr : process.stdout;
    const hideBuild = (line: string) => (line.includes("docker:index:Image") ? hide(line) : line);
    // A preview builds nothing. The CLI's display of an `up` shows only the last line of a build.
    const hides = args[0] !== "preview" || !screen.isTTY;
    return { status: await pulumi(args, output, env, hear, hides ? hideBuild : undefined), said };
  }
  const display = output(hide);
  const endEvents = followEvents(log, (event) => display.hear(event));
  let status = 1;
  try {
    status = await pulumi(args, "none", env, hear);
  } finally {
    endEvents();
    display.close(status === 0);
  }
  // A lock is explained by the caller, and a damaged state restored.
  if (lockHolders(said).length === 0 && !isDamaged(said)) process.stderr.write(said);
  return { status, said };
}

function isDamaged(said: string): boolean {
  return /failed to load checkpoint/.test(said);
}
