import { Command } from "commander";
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
  const { releases, current, left } = await readRecord(stack);
  const listed = releases.map(({ commit, time, by, seconds, images }) => ({
    ...{ commit, time, by, seconds },
    images: Object.fromEntries(Object.entries(images).map(([name, { digest }]) => [name, digest])),
    running: commit === current.commit,
    rolledBack: commit === left,
  }));
  if (json) process.stdout.write(`${JSON.stringify(listed, null, 2)}\n`);
  else
    for (const { commit, time, by, seconds, running, rolledBack } of listed) {
      const note = running ? "running" : rolledBack ? "rolled back" : "";
      const columns = [shortIdentity(commit).padEnd(12), time, `${seconds.toFixed(1)} s`.padStart(8), by];
      process.stdout.write(`${[...columns, note].join("  ").trimEnd()}\n`);
    }
  return 0;
});
