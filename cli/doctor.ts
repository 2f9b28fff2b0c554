import { statSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { readEngine } from "../doctor/engine";
import { examine, isExamined } from "../doctor/examine";
import { counted, described, summed } from "../doctor/report";
import { readRepository } from "../doctor/repository";
import { toolchainReport } from "../toolchain/report";
import { run, UsageError } from "./project";

const command = new Command("doctor")
  .description(
    "Says what in a repository can serve stale code. Without a path: what the toolchain consists of, official or stand-ins.",
  )
  .argument("[path]", "the repository to look at; it needs no engine")
  .option("--json", "print JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  command.parse();
  const { json = false } = command.opts<{ json?: boolean }>();
  const [path] = command.args;
  return path === undefined ? toolchain(json) : repository(path, json);
});

async function repository(given: string, json: boolean): Promise<number> {
  const started = performance.now();
  const path = resolve(process.env.INIT_CWD ?? ".", given);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`"${given}" is no folder; give the path of a repository`);
  const [{ files, texts, tracked }, engine] = await Promise.all([
    readRepository(path, isExamined),
    json ? readEngine() : null,
  ]);
  const findings = examine({ files, texts, ...(tracked && { tracked }) });
  const seconds = Math.round(performance.now() - started) / 1000;
  if (json)
    process.stdout.write(
      `${JSON.stringify({ path, files: files.length, findings, seconds, engine }, null, 2)}\n`,
    );
  else
    process.stdout.write(
      `${described(findings)}${summed(findings)} in ${files.length} files (${seconds.toFixed(1)} s)\n`,
    );
  return counted(findings).errors > 0 ? 1 : 0;
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
