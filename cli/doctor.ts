import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { baselineOf, beyond, parseBaseline } from "../packages/doctor/baseline";
import { readEngine } from "../packages/doctor/engine";
import { type Diagnosis, isAtLeast, SEVERITIES, type Severity } from "../packages/doctor/finding";
import { JudgeError, type Judgement, judge } from "../packages/doctor/judge";
import { asGithub, asSarif, byRule, described, describedSkipped, summed } from "../packages/doctor/report";
import { toolchainReport } from "../toolchain/report";
import { PROJECT, run, UsageError } from "./project";

type Format = "text" | "json" | "sarif" | "github";

interface Options {
  readonly json?: boolean;
  readonly format?: Format;
  readonly failOn?: Severity;
  readonly baseline?: string;
  readonly writeBaseline?: string;
  readonly all?: boolean;
}

const command = new Command("doctor")
  .description(
    "Lists what in a repository can serve stale code. Without a path: lists the toolchain, official or stand-ins.",
  )
  .argument("[paths...]", "repositories to check, or files of the current one; needs no engine")
  .option("--json", "print only JSON on stdout, like --format json")
  .addOption(new Option("--format <format>", "what to print").choices(["text", "json", "sarif", "github"]))
  .addOption(
    new Option("--fail-on <level>", "the lowest level that makes it exit 1 (default: error)").choices(
      SEVERITIES,
    ),
  )
  .option("--baseline <file>", "report only findings that this file lacks")
  .option("--write-baseline <file>", "write the findings to this file, and exit 0")
  .option("--all", "check tests, fixtures, examples and documentation too")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  command.parse();
  const options = command.opts<Options>();
  if (command.args.length === 0) return toolchain(options.json ?? options.format === "json");
  return repositories(command.args, options);
});

async function repositories(given: readonly string[], options: Options): Promise<number> {
  const started = performance.now();
  const from = resolve(process.env.INIT_CWD ?? ".");
  const format = options.format ?? (options.json ? "json" : "text");
  const [judgement, engine] = await Promise.all([
    judge(given, { from, ...(options.all && { all: true }) }).catch((cause: unknown) => {
      throw cause instanceof JudgeError ? new UsageError(cause.message) : cause;
    }),
    format === "json" ? readEngine() : null,
  ]);
  if (options.writeBaseline !== undefined) {
    const file = resolve(from, options.writeBaseline);
    writeFileSync(file, `${JSON.stringify(baselineOf(judgement.findings), null, 2)}\n`);
    process.stderr.write(`wrote ${judgement.findings.length} findings to ${file}\n`);
    return 0;
  }
  const findings =
    options.baseline === undefined
      ? judgement.findings
      : beyondFile(judgement.findings, resolve(from, options.baseline));
  const seconds = Math.round(performance.now() - started) / 1000;
  print(format, { ...judgement, findings }, { path: resolve(from, given[0]!), seconds, engine });
  const level = options.failOn ?? judgement.settings.failOn;
  return findings.some((one) => isAtLeast(one, level)) ? 1 : 0;
}

function beyondFile(findings: readonly Diagnosis[], file: string): readonly Diagnosis[] {
  const baseline = existsSync(file) ? parseBaseline(readFileSync(file, "utf8")) : undefined;
  if (!baseline) throw new UsageError(`${file} is not a baseline; write one with --write-baseline`);
  return beyond(findings, baseline);
}

function print(
  format: Format,
  judgement: Judgement,
  more: { readonly path: string; readonly seconds: number; readonly engine: object | null },
): void {
  const { findings, ignored, skipped, files } = judgement;
  const { path, seconds, engine } = more;
  const json = (value: object) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  if (format === "json") {
    json({ path, files, findings, ignored, skipped, seconds, engine });
    return;
  }
  if (format === "sarif") {
    const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
      version: string;
    };
    json(asSarif(findings, version));
    return;
  }
  if (format === "github") {
    process.stdout.write(asGithub(findings));
    return;
  }
  const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const also = ignored.length > 0 ? `, ${ignored.length} ignored by comments` : "";
  process.stdout.write(
    `${described(findings, { colour })}${describedSkipped(skipped)}${byRule(findings)}${summed(findings)}${also} in ${files} files (${seconds.toFixed(1)} s)\n`,
  );
}

async function toolchain(json: boolean): Promise<number> {
  const report = await toolchainReport();
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else
    for (const { part, version, origin, where } of report)
      process.stdout.write(
        `${part.padEnd(34)} ${(version || "-").padEnd(24)} ${origin.padEnd(22)} ${where}\n`,
      );
  return report.some(({ origin }) => /^(missing|broken)/.test(origin)) ? 1 : 0;
}
