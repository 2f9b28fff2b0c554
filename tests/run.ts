import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import execa from "execa";
import { aptInstall, isDebianRoot } from "../toolchain/apt";
import { FULL, faultsDocument, ROWS, readRows, summary, terminalTable } from "./support/matrix";
import { measuredOn } from "./support/measuredOn";

const PROJECT = resolve(__dirname, "..");

/**
 * The suites in the order in which they run. Those of a phase run side by side; those on the engine run alone, for one's
 * prune would take away what another measures.
 */
const PHASES = [
  { suites: ["tests/unit", "tests/contract", "tests/toolchain", "tests/plugins"], workers: 2 },
  {
    suites: [
      "tests/engine",
      "tests/claims",
      "tests/releases",
      "tests/cli",
      "tests/faults",
      "tests/example",
      "tests/cluster",
      "tests/shapes",
    ],
    workers: 1,
  },
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
  const folder = mkdtempSync(join(tmpdir(), "watch-party-tests-"));
  const rows = join(folder, "faults.jsonl");
  let passed = 0;
  let failed = 0;
  const results: SuiteResult[] = [];
  for (const [index, { suites, workers }] of PHASES.entries()) {
    const paths =
      chosen.length === 0 ? suites : chosen.filter((path) => suites.some((suite) => path.startsWith(suite)));
    if (paths.length === 0) continue;
    if (paths.some((path) => !/^tests\/(unit|contract)/.test(path))) await installPrograms();
    const report = join(folder, `${index}.json`);
    const options = [
      "--json",
      `--outputFile=${report}`,
      `--maxWorkers=${workers}`,
      "--forceExit",
      "--passWithNoTests",
      ...paths,
    ];
    // Jest prints its report on stderr; its JSON stays in the file.
    await execa(process.execPath, [join(PROJECT, "node_modules/jest/bin/jest.js"), ...options], {
      cwd: PROJECT,
      stdio: ["ignore", "ignore", "inherit"],
      env: { [ROWS]: rows, ...(full ? { WATCH_PARTY_FULL: "1" } : {}) },
      reject: false,
    });
    // A run that was killed has no report.
    if (!existsSync(report)) {
      failed += 1;
      continue;
    }
    const result = JSON.parse(readFileSync(report, "utf8"));
    results.push(...result.testResults);
    passed += result.numPassedTests;
    // A suite that did not even load has no test to count, and a skipped test is no pass.
    failed +=
      result.numFailedTests + result.numRuntimeErrorTestSuites + result.numPendingTests + result.numTodoTests;
  }
  const all = chosen.length === 0 || chosen.some((path) => /^tests\/faults\/?$/.test(path));
  reportSeconds(results);
  await reportFaults(rows, full && all);
  rmSync(folder, { recursive: true, force: true });
  if (passed === 0) failed += 1;
  process.exitCode = failed === 0 ? 0 : 1;
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
}

main(process.argv.slice(2));
