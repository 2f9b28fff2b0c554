import { doctor } from "../packages/doctor/command";
import { readEngine } from "../packages/doctor/engine";
import { ownPackage } from "../toolchain/paths";
import { toolchainReport } from "../toolchain/report";
import { run } from "./project";

run(async () => {
  return doctor(process.argv.slice(2), {
    version: ownPackage().version,
    description:
      "Lists what in a repository can serve stale code. Without a path: lists the toolchain, official or stand-ins.",
    readEngine,
    withoutPath: toolchain,
  });
});

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
