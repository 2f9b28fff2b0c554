import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import { stringify } from "yaml";
import { ConfigError, problemsForUp } from "../config";
import { certificatePath, type Report } from "../engine/certificate";
import { canListen } from "../engine/preflight";
import type { Verdict } from "../freshness/chain";
import { resolveCheckout } from "../source/checkout";
import { checkSource } from "../source/prepare";
import {
  ensureStack,
  operate,
  PROJECT,
  readStackConfig,
  run,
  stackFile,
  stackName,
  UsageError,
} from "./project";
import { table } from "./table";

interface Options {
  readonly stack?: string;
  readonly source?: string;
  readonly refresh?: boolean;
  readonly rebuild?: boolean;
  readonly json?: boolean;
}

const command = new Command("up")
  .description("Deploys a stack and proves that what is served is the commit.")
  .option("--stack <name>", 'the stack (default: "dev", or the folder of --source)')
  .option("--source <path>", "deploy this app instead, in a stack of its own named after its folder")
  .option("--refresh", "ask the engine first what was removed or changed by hand")
  .option("--rebuild", "prune and build anew, whatever was built before")
  .option("--json", "print the certificate as JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const started = performance.now();
  const options = command.parse().opts<Options>();
  const stack = options.stack ?? (options.source ? stackOf(options.source) : "dev");
  if (options.source) await configureSource(stack, resolve(process.env.INIT_CWD ?? ".", options.source));
  const config = readStackConfig(stack);
  const problems = problemsForUp(config);
  if (problems.length > 0) throw new ConfigError(problems);
  await checkSource(config);

  const report = join(PROJECT, certificatePath(stackName(stack)));
  await ensureStack(stack);
  rmSync(report, { force: true });
  // A server is reached with the key's file, which the program writes: a machine that has never deployed lacks it.
  const refresh = ["--refresh", ...(config.server ? ["--run-program"] : [])];
  const args = ["up", "--yes", "--skip-preview", "--stack", stack, ...(options.refresh ? refresh : [])];
  if (options.rebuild) process.env.WATCH_PARTY_REBUILD = "1";
  const status = await operate(args, options.json ? "stderr" : "inherit");
  if (status !== 0 || !existsSync(report)) return 1;

  const { certificate, seconds } = JSON.parse(readFileSync(report, "utf8")) as Report;
  if (options.json) process.stdout.write(`${JSON.stringify(certificate, null, 2)}\n`);
  else process.stdout.write(summary(certificate.links, seconds, (performance.now() - started) / 1000));
  if (!options.json) process.stdout.write(`\n${certificate.url} serves ${certificate.commit}\n`);
  return 0;
});

/** A stack's name from a folder's: what Pulumi allows, in lower case. */
function stackOf(source: string): string {
  const name = basename(resolve(process.env.INIT_CWD ?? ".", source));
  const stack = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "");
  if (stack === "")
    throw new UsageError(`the folder of ${source} gives no stack name; choose one with --stack`);
  return stack;
}

/** Writes the new stack's file; one that exists has to deploy that same app. */
async function configureSource(stack: string, source: string): Promise<void> {
  const file = stackFile(stack);
  if (existsSync(file)) {
    const configured = resolve(PROJECT, readStackConfig(stack).source);
    if (configured === source) return;
    throw new UsageError(
      `stack ${stack} deploys ${configured}, not ${source}; choose another stack with --stack`,
    );
  }
  // "@" is HEAD whatever is uncommitted. A path that is no checkout leaves no file behind; what else is wrong is set right in it.
  await resolveCheckout({ source, commit: "@", uncommitted: "refuse" });
  const address = "127.0.0.1";
  let port = 8080;
  while (!(await canListen({ address, port }))) port += 1;
  const config = { "watch-party:source": source, "watch-party:listen": `${address}:${port}` };
  writeFileSync(file, stringify({ config }));
}

function summary(
  links: readonly Verdict[],
  seconds: Readonly<Record<string, number>>,
  total: number,
): string {
  const steps = Object.entries(seconds)
    .filter(([step]) => step !== "total")
    .map(([step, taken]) => `${step} ${taken.toFixed(1)} s`);
  return `\n${table(links)}\n\n${steps.join(", ")}; in all ${total.toFixed(1)} s\n`;
}
