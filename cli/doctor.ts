import { Command } from "commander";
import { toolchainReport } from "../toolchain/report";
import { run } from "./project";

const command = new Command("doctor")
  .description("Says what the toolchain consists of: versions, places, and what is official or a stand-in.")
  .option("--json", "print JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { json } = command.parse().opts<{ json?: boolean }>();
  const report = await toolchainReport();
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else
    for (const { part, version, origin, where } of report)
      process.stdout.write(
        `${part.padEnd(34)} ${(version || "-").padEnd(24)} ${origin.padEnd(22)} ${where}\n`,
      );
  return report.some(({ origin }) => origin === "missing") ? 1 : 0;
});
