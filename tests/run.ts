import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import execa from "execa";
import { aptInstall, isDebianRoot } from "../toolchain/apt";
import { TestMachine } from "./support/machine";
import { FULL, faultsDocument, ROWS, readRows, summary, terminalTable } from "./support/matrix";
import { measuredOn } from "./support/measuredOn";

const PROJECT = resolve(__dirname, "..");

/** Suites that run side by side. */
const TOGETHER = ["tests/unit", "tests/contract", "tests/toolchain", "tests/plugins"];

/** Suites that need an engine to themselves: one's prune would take away what another measures. */
const ON_THE_ENGINE = [
  "tests/engine",
  "tests/claims",
  "tests/releases",
  "tests/cli",
  "tests/faults",
  "tests/example",
  "tests/cluster",
  "tests/shapes",
];

/** What the suites on the engine need besides: a browser that visited yesterday, an ssh server on loopback, and a registry. */
const PROGRAMS = [
  { name: "chromium", paths: ["/usr/bin/chromium"], aptPackage: "chromium" },
  { name: "sshd", paths: ["/usr/sbin/sshd"], aptPackage: "openssh-server" },
  { name: "docker-registry", paths: ["/usr/bin/docker-registry"], aptPackage: "docker-registry" },
];

/** Installs missing programs if allowed; otherwise the tests that need them report it. */
async function installPrograms(): Promise<void> {
  const missing = PROGRAMS.filter(({ paths }) => !paths.some((path) => existsSync(path)));
  if (missing.length === 0 || !isDebianRoot()) return;
  process.stderr.write(`tests: installing ${missing.map(({ name }) => name).join(" and ")} …\n`);
  await aptInstall(missing.map(({ aptPackage }) => aptPackage));
}

interface SuiteResult {
  readonly name: string;
  readonly startTime: number;
  readonly endTime: number;
  readonly assertionResults: readonly { readonly title: string; readonly duration: number | null }[];
}

/** Prints where the time of a run went: the slowest suites, and of each the slowest tests. */
function reportSeconds(suites: readonly SuiteResult[]): void {
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(0)} s`.padStart(7);
  const ofSuite = ({ startTime, endTime }: SuiteResult) => endTime - startTime;
  const slow = suites.filter((suite) => ofSuite(suite) > 30_000).sort((a, b) => ofSuite(b) - ofSuite(a));
  for (const suite of slow) {
    process.stderr.write(`${seconds(ofSuite(suite))}  ${relative(PROJECT, suite.name)}\n`);
    const tests = suite.assertionResults.filter(({ duration }) => (duration ?? 0) > 10_000);
    for (const { title, duration } of tests)
      process.stderr.write(`         ${seconds(duration ?? 0)}  ${title}\n`);
  }
}

/** Prints the fault matrix of a run that had faults in it, and writes it down where all of them were asked for in full. */
async function reportFaults(file: string, write: boolean): Promise<void> {
  const rows = readRows(file);
  if (rows.length === 0) return;
  process.stderr.write(`\n${terminalTable(rows)}\n\n${summary(rows)}\n\n`);
  if (!write) return;
  const { versions, date } = await measuredOn();
  writeFileSync(join(PROJECT, "docs", "faults.md"), faultsDocument(rows, versions, date));
}

/** The files of the suites, the largest first: so no long one is left to run alone at the end. */
function testFiles(prefixes: readonly string[]): string[] {
  return readdirSync(join(PROJECT, "tests"), { recursive: true, encoding: "utf8" })
    .map((name) => `tests/${name}`)
    .filter((name) => name.endsWith(".test.ts") && prefixes.some((prefix) => name.startsWith(prefix)))
    .sort((a, b) => statSync(join(PROJECT, b)).size - statSync(join(PROJECT, a)).size);
}

/** The paths given, or all of `suites`. */
function chosenOf(suites: readonly string[], chosen: readonly string[]): readonly string[] {
  return chosen.length === 0
    ? suites
    : chosen.filter((path) => suites.some((suite) => path.startsWith(suite)));
}

/** What has run so far. */
class Run {
  passed = 0;
  failed = 0;
  readonly results: SuiteResult[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "watch-party-tests-"));
  readonly faults = join(this.folder, "faults.jsonl");
  private reports = 0;

  constructor(private readonly full: boolean) {}

  /** Runs Jest on these paths, on another machine if one is given, and counts what it found. */
  async jest(paths: readonly string[], workers: number, machine?: TestMachine): Promise<void> {
    this.reports += 1;
    const report = join(this.folder, `${this.reports}.json`);
    const options = [
      "--json",
      `--outputFile=${report}`,
      `--maxWorkers=${workers}`,
      "--forceExit",
      "--passWithNoTests",
      ...paths,
    ];
    const jest = [process.execPath, join(PROJECT, "node_modules/jest/bin/jest.js"), ...options] as const;
    const [program, args] = machine ? machine.command(...jest) : [jest[0], jest.slice(1)];
    // Jest prints its report on stderr; its JSON stays in the file.
    await execa(program, args, {
      cwd: PROJECT,
      stdio: ["ignore", "ignore", "inherit"],
      env: { [ROWS]: this.faults, ...(this.full ? { WATCH_PARTY_FULL: "1" } : {}) },
      reject: false,
    });
    // A run that was killed has no report.
    if (!existsSync(report)) {
      this.failed += 1;
      return;
    }
    const result = JSON.parse(readFileSync(report, "utf8"));
    this.results.push(...result.testResults);
    this.passed += result.numPassedTests;
    // A suite that did not even load has no test to count, and a skipped test is no pass.
    this.failed +=
      result.numFailedTests + result.numRuntimeErrorTestSuites + result.numPendingTests + result.numTodoTests;
  }

  /**
   * Runs suites that need an engine each: on this machine's and, since they mostly wait, on a second one beside it. The full
   * form measures, so it has this machine to itself.
   */
  async onTheEngine(files: readonly string[]): Promise<void> {
    const second = files.length > 1 && !this.full ? await TestMachine.start() : undefined;
    if (typeof second === "string") process.stderr.write(`tests: no second machine: ${second}\n`);
    const machines = second instanceof TestMachine ? [undefined, second] : [undefined];
    const waiting = [...files];
    process.stderr.write(
      `tests: ${files.length} suites on ${machines.length === 1 ? "one engine" : "two engines"}\n`,
    );
    try {
      await Promise.all(
        machines.map(async (machine) => {
          for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
            await this.jest([file], 1, machine);
        }),
      );
    } finally {
      if (second instanceof TestMachine) await second.remove();
    }
  }
}

/**
 * Runs the suites, or those whose paths are given, and prints `N passed, N failed` last.
 *
 * `--write` asks for the fault suites' full form and writes the matrix to docs/faults.md; WATCH_PARTY_FULL=1 is the full form
 * of every suite.
 */
async function main(args: readonly string[]): Promise<void> {
  // The commands under test are not what a job's summary tells of.
  delete process.env.GITHUB_STEP_SUMMARY;
  delete process.env.GITHUB_OUTPUT;
  const chosen = args.filter((arg) => arg !== "--write");
  const full = FULL || args.includes("--write");
  const together = chosenOf(TOGETHER, chosen);
  const files = testFiles(chosenOf(ON_THE_ENGINE, chosen));
  const run = new Run(full);
  if (files.length > 0 || together.some((path) => !/^tests\/(unit|contract)/.test(path)))
    await installPrograms();
  if (together.length > 0) await run.jest(together, 2);
  if (files.length > 0) await run.onTheEngine(files);
  const all = chosen.length === 0 || chosen.some((path) => /^tests\/faults\/?$/.test(path));
  reportSeconds(run.results);
  await reportFaults(run.faults, full && all);
  rmSync(run.folder, { recursive: true, force: true });
  if (run.passed === 0) run.failed += 1;
  process.exitCode = run.failed === 0 ? 0 : 1;
  process.stdout.write(`${run.passed} passed, ${run.failed} failed\n`);
}

main(process.argv.slice(2));
