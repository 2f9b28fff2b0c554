import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../engine/errorCodes";
import { commandLine } from "../freshness/project";
import { certificatePath, parseReport, type Report } from "../proof/certificate";
import { displayOn } from "./display/display";
import { hasColour } from "./display/paint";
import { Steps } from "./display/steps";
import type { Display } from "./display/types";
import { closing } from "./display/words";
import { certificateMarkdown, failureMarkdown, supersededMarkdown } from "./markdown";
import type { Hide, Outcome } from "./operate";
import { operateRefreshing } from "./operateRefreshing";
import { PROJECT, stackName } from "./project";
import { startsRelease, stopFailed } from "./refusal";
import { summarize } from "./summary";
import { table } from "./table";
import { tellFailure } from "./tellFailure";

export interface DeployOptions {
  /** Print only the certificate, as JSON, on stdout. */
  readonly json?: boolean;
  /** Print nothing on stdout: the deploy is part of another command. */
  readonly quiet?: boolean;
  /** Print the output of Pulumi and of BuildKit instead of one line a step. */
  readonly verbose?: boolean;
  /** Start of the command, by `performance.now()`. */
  readonly started: number;
  /** Exit 0 if a newer commit is already deployed. */
  readonly onlyNewer?: boolean;
  /** How long another deploy, or a lock that somebody has set, is waited for, in minutes. Default: not at all. */
  readonly waitMinutes?: number;
}

/** @throws Error if the file is not a report of a deploy */
export function readReport(file: string): Report {
  const report = parseReport(existsSync(file) ? readFileSync(file, "utf8") : "");
  if (report) return report;
  throw new Error(
    `${file} is not a certificate of this program; run "${commandLine("verify")}" for a new one`,
  );
}

/**
 * Runs `pulumi up` and prints what it proved: the chain, the seconds of each step, the URL.
 *
 * @param args arguments of `pulumi up`
 * @returns the exit status
 */
export async function deploy(
  stack: string,
  args: readonly string[],
  { json, quiet, verbose, started, onlyNewer, waitMinutes = 0 }: DeployOptions,
): Promise<number> {
  const file = join(PROJECT, certificatePath(stackName(stack)));
  rmSync(file, { force: true });
  const screen = json || quiet ? process.stderr : process.stdout;
  let display: Display | undefined;
  const show = (hide: Hide) => {
    display = displayOn(screen, new Steps(hide));
    return display;
  };
  const colour = verbose && hasColour(screen) ? ["--color", "always"] : [];
  const output = verbose ? (json || quiet ? "stderr" : "inherit") : show;
  const { status, errors, changes, locked } = await patiently(waitMinutes, () =>
    operateRefreshing(stack, ["up", ...args, ...colour], output),
  );
  const superseded = errors.find((error) => hasCode(error, "superseded"));
  if (superseded !== undefined && onlyNewer) {
    process.stderr.write(`${superseded}\n`);
    summarize(supersededMarkdown(stackName(stack), superseded));
    return 0;
  }
  if (status !== 0 && startsRelease(changes)) await endRelease(stack);
  process.stderr.write(errors.map((error) => `error: ${error}\n`).join(""));
  if (status !== 0 && !locked) await tellFailure(stack, errors);
  if (status !== 0 || !existsSync(file)) {
    summarize(failureMarkdown(`${stackName(stack)} was not deployed`, errors));
    return 1;
  }

  const { certificate, seconds, served } = readReport(file);
  summarize(certificateMarkdown(certificate, seconds));
  if (quiet) return 0;
  if (json) {
    process.stdout.write(`${JSON.stringify(certificate, null, 2)}\n`);
    return 0;
  }
  const secondsUntil = (moment: number) => (moment - started) / 1000;
  const deployed = {
    links: certificate.links,
    commit: certificate.commit,
    url: certificate.url,
    seconds,
    served: served === undefined ? undefined : secondsUntil(Date.parse(served) - performance.timeOrigin),
    total: secondsUntil(performance.now()),
  };
  if (display) display.conclude(deployed);
  else process.stdout.write(`\n${table(deployed.links)}\n\n${closing(deployed)}`);
  return 0;
}

/** Retries for up to `minutes` while someone else holds the stack. */
async function patiently(minutes: number, attempt: () => Promise<Outcome>): Promise<Outcome> {
  const deadline = Date.now() + minutes * 60_000;
  for (let told = ""; ; ) {
    const outcome = await attempt();
    if (!outcome.locked || Date.now() >= deadline) return outcome;
    const why = outcome.errors.join("; ");
    if (why !== told) process.stderr.write(`waiting: ${why}\n`);
    told = why;
    await sleep(LOCK_POLL_MS);
  }
}

const LOCK_POLL_MS = 3_000;

/**
 * Stops the containers of a refused release. A failure to stop them is reported beside the reason of the refusal.
 */
async function endRelease(stack: string): Promise<void> {
  try {
    const stopped = await stopFailed(stack);
    if (stopped.length > 0) process.stderr.write(`the deploy failed; stopped: ${stopped.join(", ")}\n`);
  } catch (cause) {
    process.stderr.write(
      `warning: containers of the failed deploy may still run: ${(cause as Error).message}\n`,
    );
  }
}
