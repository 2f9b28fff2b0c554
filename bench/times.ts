import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import execa from "execa";
import { TestApp } from "../tests/support/app";
import { OriginalFlow } from "../tests/support/original";
import { TestStack } from "../tests/support/stack";
import { type Row, table, validationDocument } from "./validation";

const PROJECT = resolve(__dirname, "..");

const {
  rounds,
  app: from,
  write,
} = new Command("bench")
  .description("Wall times of a deploy, each the median of several rounds in one run.")
  .option("--rounds <n>", "rounds", "5")
  .option("--app <folder>", "the app, relative to the project", "examples/watch-party")
  .option("--write", "write docs/CACHE_FIX_VALIDATION.md")
  .parse()
  .opts<{ rounds: string; app: string; write?: boolean }>();

const ROWS: Row[] = [];

/** Prints a row of seconds: the median, and all rounds. */
async function measure(what: string, work: (round: number) => Promise<void>): Promise<void> {
  const seconds: number[] = [];
  for (let round = 0; round < Number(rounds); round++) {
    const started = performance.now();
    await work(round);
    seconds.push((performance.now() - started) / 1000);
  }
  const median = [...seconds].sort((a, b) => a - b)[Math.floor(seconds.length / 2)]!;
  ROWS.push({ what, median, rounds: seconds });
  process.stderr.write(`${what}: ${median.toFixed(1)} s\n`);
}

async function main(): Promise<void> {
  const app = await TestApp.create(from);
  const stack = await TestStack.create({ source: app.folder });
  const pulumi = async (cwd: string, env: Record<string, string>, ...args: string[]) => {
    await execa("pulumi", [...args, "--non-interactive"], { cwd, env });
  };
  const own = (...args: string[]) => pulumi(stack.folder, stack.env, ...args, "--stack", stack.name);
  const original = new OriginalFlow(app.folder);
  try {
    await own("up", "--yes", "--skip-preview");
    await emptyProgram();
    await measure("up, nothing changed", () => own("up", "--yes"));
    await measure("up, nothing changed, --skip-preview", () => own("up", "--yes", "--skip-preview"));
    await measure("preview, nothing changed", () => own("preview"));
    await measure("up, new commit", async (round) => {
      await app.commit({ "frontend/marker.txt": `${round}` });
      await own("up", "--yes", "--skip-preview");
    });
    await measure("preview, new commit", async (round) => {
      await app.commit({ "frontend/marker.txt": `preview ${round}` });
      await own("preview");
    });
    await measure("the original flow, new commit", async (round) => {
      await app.commit({ "frontend/marker.txt": `original ${round}` });
      await original.run();
    });
    await measure("docker build of both, one after the other", (round) => bareBuild(app, round));
  } finally {
    await original.remove();
    await stack.remove();
    app.remove();
  }
  process.stdout.write(`${table(ROWS)}\n`);
  if (write) await writeValidation();
}

async function writeValidation(): Promise<void> {
  const docs = join(PROJECT, "docs");
  const format = "Docker client {{.Client.Version}}, engine {{.Server.Version}}";
  const { stdout: versions } = await execa("docker", ["version", "--format", format]);
  const faults = /^\*\*(.*)\.\*\*$/m.exec(readFileSync(join(docs, "faults.md"), "utf8"))?.[1];
  if (faults === undefined) throw new Error("docs/faults.md has no summary");
  const machine = `${cpus().length} processors, ${Math.round(totalmem() / 1024 ** 3)} GiB of memory`;
  const date = new Date().toISOString().slice(0, 10);
  const text = validationDocument({ app: from, rows: ROWS, faults, versions, machine, date });
  writeFileSync(join(docs, "CACHE_FIX_VALIDATION.md"), text);
}

/** What is built without any of this: another commit, nothing pruned, no proof. */
async function bareBuild(app: TestApp, round: number): Promise<void> {
  const commit = await app.commit({
    "frontend/marker.txt": `bare ${round}`,
    "backend/marker.txt": `bare ${round}`,
  });
  for (const service of ["frontend", "backend"]) {
    const args = ["build", "--quiet", "--build-arg", `GIT_COMMIT_HASH=${commit}`, join(app.folder, service)];
    await execa("docker", args, { env: { DOCKER_BUILDKIT: "1" } });
  }
}

/** The floor: a program that declares nothing. */
async function emptyProgram(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-empty-"));
  const env = { PULUMI_BACKEND_URL: `file://${join(folder, ".state")}`, PULUMI_CONFIG_PASSPHRASE: "bench" };
  try {
    mkdirSync(join(folder, ".state"));
    symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{"name":"empty","main":"index.js"}');
    writeFileSync(join(folder, "index.js"), 'require("@pulumi/pulumi");\n');
    const options = "    typescript: false\n";
    writeFileSync(
      join(folder, "Pulumi.yaml"),
      `name: empty\nmain: index.js\nruntime:\n  name: nodejs\n  options:\n${options}`,
    );
    const run = (...args: string[]) => execa("pulumi", [...args, "--non-interactive"], { cwd: folder, env });
    await run("stack", "init", "empty");
    await run("up", "--yes", "--skip-preview", "--stack", "empty");
    await measure("up of an empty program, nothing changed", async () => {
      await run("up", "--yes", "--stack", "empty");
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main();
