import { Command } from "commander";
import { listReleases } from "../components/releases";
import { shortIdentity } from "../source/checkout";
import { run } from "./project";
import { readRecord } from "./state";

const command = new Command("releases")
  .description("Lists the releases that can be gone back to, the newest first.")
  .option("--stack <name>", "the stack", "dev")
  .option("--json", "print JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const listed = listReleases(await readRecord(stack));
  if (json) process.stdout.write(`${JSON.stringify(listed, null, 2)}\n`);
  else
    for (const { commit, time, by, seconds, running, rolledBack } of listed) {
      const note = running ? "running" : rolledBack ? "rolled back" : "";
      const columns = [shortIdentity(commit).padEnd(12), time, `${seconds.toFixed(1)} s`.padStart(8), by];
      process.stdout.write(`${[...columns, note].join("  ").trimEnd()}\n`);
    }
  return 0;
});
