import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { markdownTable } from "../../cli/table";
import { measuredOn } from "../support/measuredOn";
import { quantile } from "../support/openLoad";

/** One kill in a deploy, measured. */
export interface KillRow {
  readonly where: string;
  readonly moment: string;
  readonly victim: string;
  readonly requests: number;
  readonly failed: number;
  /** Seconds from the first failed request to the last. */
  readonly outage: number;
  /** Seconds that the next `up` took. */
  readonly next: number;
}

/** Deploys under load, measured. */
export interface LoadResult {
  /** Requests a second that were asked for. */
  readonly rate: number;
  readonly deploys: number;
  readonly requests: number;
  readonly seconds: number;
  readonly failed: number;
  readonly switches: number;
  /** The 99th percentile of the answers' milliseconds, in the second before each switch and in that after it. */
  readonly p99: readonly [before: number, after: number];
  /** Seconds: the deploys' median, and that of the rollbacks. */
  readonly deploy: number;
  readonly rollback: number;
  readonly rollbacks: number;
}

/** Seconds of an app's deploys and of the rollbacks between them. */
export interface RollbackResult {
  readonly app: string;
  readonly deploys: readonly number[];
  readonly rollbacks: readonly number[];
  /** How many were asked for meanwhile; none failed. */
  readonly requests: number;
}

const DOCUMENT = resolve(__dirname, "..", "..", "docs", "releases.md");

/** Prints what came of the kills; that of all of them is written to a section of docs/releases.md. */
export async function writeKills(
  section: "Killed deploys" | "Killed commands",
  rows: readonly KillRow[],
  full: boolean,
): Promise<void> {
  if (rows.length === 0) return;
  const table = killTable(rows, section === "Killed deploys" ? "a deploy …" : "command");
  process.stderr.write(`\n${table}\n\n`);
  if (full) await replaceSection(section, table);
}

/** Prints what came of the deploys under load; the full form writes it to docs/releases.md. */
export async function writeLoad(result: LoadResult, full: boolean): Promise<void> {
  const words = loadText(result);
  process.stderr.write(`\n${words}\n\n`);
  if (full) await replaceSection("Deploys under load", words);
}

/**
 * Prints what rollbacks took, and writes it to docs/releases.md.
 *
 * @param rate requests a second meanwhile
 */
export async function writeRollbacks(results: readonly RollbackResult[], rate: number): Promise<void> {
  const words = rollbackText(results, rate);
  process.stderr.write(`\n${words}\n\n`);
  await replaceSection("Rollbacks", words);
}

/** @param first the head of the first column: where a deploy was killed, or which command */
export function killTable(rows: readonly KillRow[], first = "a deploy …"): string {
  const body = rows.map(({ where, moment, victim, requests, failed, outage, next }) => [
    ...[where, moment, victim, requests === 0 ? "–" : `${failed} of ${requests}`],
    ...[failed === 0 ? "none" : `${outage.toFixed(1)} s`, next.toFixed(1)],
  ]);
  const head = [first, "killed while it …", "victim", "requests failed", "outage", "next `up`, seconds"];
  return markdownTable(head, body);
}

export function loadText(result: LoadResult): string {
  const { rate, deploys, requests, seconds, failed, switches, p99, deploy, rollback, rollbacks } = result;
  const [before, after] = p99;
  return `${deploys} good deploys over ssh, one unhealthy, one crashing, one with another commit, one that fails only behind the edge, and ${rollbacks === 1 ? "a rollback" : `${rollbacks} rollbacks`},
under ${rate} requests a second: ${requests} requests in ${seconds.toFixed(0)} s, **${failed} failed**. ${switches} switches; the 99th percentile of the answers
took ${before.toFixed(1)} ms in the second before a switch and ${after.toFixed(1)} ms in the second after, ${(after / before).toFixed(2)} times as long.
A deploy took ${deploy.toFixed(1)} s in the median, a rollback ${rollback.toFixed(1)} s: the app builds in a second, so a rollback saves
little, and one machine sends the requests, serves and builds.`;
}

/** What a rollback takes of a deploy, by their medians. */
export function rollbackRatio({ deploys, rollbacks }: RollbackResult): number {
  return quantile(rollbacks, 0.5) / quantile(deploys, 0.5);
}

export function rollbackText(results: readonly RollbackResult[], rate: number): string {
  const told = (all: readonly number[]) =>
    `${quantile(all, 0.5).toFixed(1)} (${Math.min(...all).toFixed(1)}–${Math.max(...all).toFixed(1)})`;
  const rows = results.map((result) => [
    ...[result.app, String(result.deploys.length), told(result.deploys), told(result.rollbacks)],
    ...[rollbackRatio(result).toFixed(2), `0 of ${result.requests}`],
  ]);
  const head = ["app", "rounds", "new commit, seconds", "rollback, seconds", "ratio", "requests failed"];
  return `A new commit and a rollback in alternation, over ssh, beside ${rate} requests a second; medians, with the range. The apps are
those of [bench.md](bench.md). A rollback builds nothing, so it saves more the longer the app builds.

${markdownTable(head, rows)}`;
}

const HEAD = `# Releases, measured

Generated by \`WATCH_PARTY_FULL=1 npm run test:releases\`. The app is the tests' own, which builds in a second, unless another is named. The
victim of a killed deploy gets SIGKILL; \`dockerd\` restarts at once, as under systemd. During the test, requests for the page and the API
never pause. Then the next \`up\` has to finish without manual steps and remove every leftover of the killed deploy, and \`verify\` has to pass.
`;

/** Puts a section in the place of the one of that title, or at the end. */
async function replaceSection(title: string, text: string): Promise<void> {
  const { versions, date } = await measuredOn();
  const old = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "";
  writeFileSync(DOCUMENT, withSection(old, title, `On ${date}, ${versions}.\n\n${text}`));
}

/** The document with a section in the place of the one of that title, or at the end. */
export function withSection(document: string, title: string, text: string): string {
  const [, ...old] = document.split(/^## /m).map((each) => each.trimEnd());
  const others = old.filter((each) => !each.startsWith(`${title}\n`));
  const sections = [...others, `${title}\n\n${text}`].sort();
  return `${HEAD}${sections.map((each) => `\n## ${each}\n`).join("")}`;
}
