import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { LINKS, type Link } from "../../freshness/chain";

/** Whether the form that takes longer is asked for: it measures the original flow too. */
export const FULL = process.env.WATCH_PARTY_FULL === "1";
/** The file that a run's rows go to, a JSON line each; without it nobody asked for them. */
export const ROWS = "WATCH_PARTY_FAULT_ROWS";

/** What a fault is called, and what has to find it. */
export interface Named {
  /** What is injected: the deployed source and the deploy itself, or what runs already. */
  readonly into: "deploy" | "running";
  readonly fault: string;
  readonly link: Link;
}

/** What came of a fault; a test fills it in as it goes. */
export interface Row extends Named {
  /** By the link named, with the words expected, the old version serving on. */
  detected: boolean;
  /** From the start of the deploy or of `verify` to its refusal. */
  seconds?: number;
  /** Whether the same without the fault passed; undefined where it never came to that. */
  twin?: boolean;
  /** What the original flow makes of the same fault; undefined where it was not asked. */
  original?: OriginalAnswer;
}

export interface OriginalAnswer {
  readonly caught: boolean;
  /** What it served then, or what a health check saw. */
  readonly saw: string;
}

/** Runs the test of one fault and writes down what came of it, also where the test fails. */
export async function inMatrix(
  { into, fault, link }: Named,
  test: (row: Row) => Promise<void>,
): Promise<void> {
  const row: Row = { into, fault, link, detected: false };
  try {
    await test(row);
  } finally {
    const file = process.env[ROWS];
    if (file) appendFileSync(file, `${JSON.stringify(row)}\n`);
  }
}

/** Runs what is to be refused, and writes down how long that took. */
export async function timed<T>(row: Row, run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  try {
    return await run();
  } finally {
    row.seconds = (performance.now() - started) / 1000;
  }
}

/** The rows of a run, those of deploys first, in the order of the chain. */
export function readRows(file: string): Row[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  const rows = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Row);
  const place = ({ into, link }: Row) => (into === "deploy" ? 0 : LINKS.length) + LINKS.indexOf(link);
  return rows.sort((a, b) => place(a) - place(b));
}

/** The rows in one line: what was found, what was refused wrongly, what the original flow caught. */
export function summary(rows: readonly Row[]): string {
  const of = (some: readonly Row[], all = rows) => `${some.length} of ${all.length}`;
  const asked = rows.filter(({ original }) => original);
  const parts = [
    `detected by the link named: ${of(rows.filter(({ detected }) => detected))}`,
    `twins refused: ${of(rows.filter(({ twin }) => twin === false))}`,
    ...(asked.length === 0
      ? []
      : [
          `the original flow caught: ${of(
            asked.filter(({ original }) => original?.caught),
            asked,
          )}`,
        ]),
  ];
  return parts.join(", ");
}

const HEAD = ["fault", "link", "detected", "seconds", "twin passes", "the original flow"];

function cells({ fault, link, detected, seconds, twin, original }: Row): string[] {
  const yes = (value: boolean | undefined) => (value === undefined ? "–" : value ? "yes" : "no");
  return [
    fault,
    link,
    yes(detected),
    seconds?.toFixed(1) ?? "–",
    yes(twin),
    original ? `${original.caught ? "caught" : "not caught"}: ${original.saw}` : "–",
  ];
}

/** The matrix for a terminal. */
export function terminalTable(rows: readonly Row[]): string {
  const all = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  "));
  return lines.map((line) => line.trimEnd()).join("\n");
}

/** The matrix as docs/faults.md holds it. */
export function faultsDocument(rows: readonly Row[], versions: string, date: string): string {
  const table = (into: Named["into"]) =>
    [HEAD, HEAD.map(() => "---"), ...rows.filter((row) => row.into === into).map(cells)]
      .map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
      .join("\n");
  return `# The fault matrix

Written by \`npm run test:faults -- --write\` on ${date}, ${versions}.

**${summary(rows)}.**

Each fault is brought about on a real engine. *Detected* means that \`up\` or \`verify\` exits 1 and the error names that link
and the service, with what was expected and what was found; a deploy also has to leave the version before in service, which
is asked over HTTP. *Seconds* run from the start of that \`up\` or \`verify\` to its end. The *twin* is the same without the
fault: it has to pass.

*The original flow* is what the scripts did that this project replaces: the check that \`ARG GIT_COMMIT_HASH\` stands before the
first \`COPY\`, \`docker builder prune -f\`, \`docker build --build-arg GIT_COMMIT_HASH=…\` of the working tree, the containers
replaced, and a wait until their health checks answer (tests/support/original.ts). It catches a fault where it exits with an
error. Behind it stands what its containers were found to hold then: not each fault made it serve the wrong files that time,
for some open the door to it and some concern what browsers keep.

## Faults in what is deployed

${table("deploy")}

## Faults in what runs already

The original flow looks at nothing once it has ended. What is told of it here is what a health check of the public address
sees while the fault lasts: a page of the frontend and an answer of the backend with status 200, or not.

${table("running")}
`;
}
