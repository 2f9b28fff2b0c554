import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { baselineOf, beyond, parseBaseline } from "./baseline";
import { type Diagnosis, isAtLeast, SEVERITIES, type Severity } from "./finding";
import { JudgeError, type Judgement, judge } from "./judge";
import { asGithub, asSarif, byRule, described, describedSkipped, summed } from "./report";

type Format = "text" | "json" | "sarif" | "github";

/** The options of the command line. */
interface Options {
  readonly json?: boolean;
  readonly format?: Format;
  readonly failOn?: Severity;
  readonly baseline?: string;
  readonly writeBaseline?: string;
  readonly all?: boolean;
}

/** What differs between the project's command and the package of its own. */
export interface Surroundings {
  readonly version: string;
  readonly description: string;
  /** Describes the engine of this machine for `--json`. Default: null. */
  readonly readEngine?: () => Promise<object | null>;
  /** What to do without a path. Default: check the current folder. */
  readonly withoutPath?: (isJson: boolean) => Promise<number>;
}

/** Runs doctor. Returns its exit status: 0 good, 1 findings at or above the level, 2 wrong usage. */
export async function doctor(argv: readonly string[], around: Surroundings): Promise<number> {
  const command = new Command("doctor")
    .description(around.description)
    .version(around.version)
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
  command.parse(argv, { from: "user" });
  const options = command.opts<Options>();
  if (command.args.length === 0 && around.withoutPath)
    return around.withoutPath(options.json ?? options.format === "json");
  try {
    return await repositories(command.args.length === 0 ? ["."] : command.args, options, around);
  } catch (cause) {
    if (!(cause instanceof JudgeError)) throw cause;
    process.stderr.write(`error: ${cause.message}\n`);
    return 2;
  }
}

async function repositories(
  given: readonly string[],
  options: Options,
  around: Surroundings,
): Promise<number> {
  const started = performance.now();
  const from = resolve(process.env.INIT_CWD ?? ".");
  const format = options.format ?? (options.json ? "json" : "text");
  const [judgement, engine] = await Promise.all([
    judge(given, { from, all: options.all }),
    format === "json" ? (around.readEngine?.() ?? null) : null,
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
  const { version } = around;
  const [path = "."] = given;
  print(format, { ...judgement, findings }, { path: resolve(from, path), seconds, engine, version });
  const level = options.failOn ?? judgement.settings.failOn;
  return findings.some((one) => isAtLeast(one, level)) ? 1 : 0;
}

function beyondFile(findings: readonly Diagnosis[], file: string): readonly Diagnosis[] {
  const baseline = existsSync(file) ? parseBaseline(readFileSync(file, "utf8")) : undefined;
  if (!baseline) throw new JudgeError(`${file} is not a baseline; write one with --write-baseline`);
  return beyond(findings, baseline);
}

interface Printed {
  readonly path: string;
  readonly seconds: number;
  readonly engine: object | null;
  readonly version: string;
}

function print(format: Format, judgement: Judgement, { path, seconds, engine, version }: Printed): void {
  const { findings, ignored, skipped, files } = judgement;
  const json = (value: object) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  if (format === "json") json({ path, files, findings, ignored, skipped, seconds, engine });
  else if (format === "sarif") json(asSarif(findings, version));
  else if (format === "github") process.stdout.write(asGithub(findings));
  else {
    const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
    const also = ignored.length > 0 ? `, ${ignored.length} ignored by comments` : "";
    process.stdout.write(
      `${described(findings, { colour })}${describedSkipped(skipped)}${byRule(findings)}${summed(findings)}${also} in ${files} files (${seconds.toFixed(1)} s)\n`,
    );
  }
}
