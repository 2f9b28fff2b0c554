import { Command } from "commander";
import { readLock, removeLock } from "../engine/stackLock";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new Command("unlock")
  .description("Takes the lock of a stack away that `lock` has set.")
  .option("--stack <name>", "the stack", "dev")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { stack } = command.parse().opts<{ stack: string }>();
  const { engine, record } = await openStack(stack);
  const { edge } = record.deployment;
  const before = await readLock(engine, edge);
  await removeLock(engine, edge);
  const was = before
    ? `was locked by ${before.by} since ${before.since}: ${before.message}`
    : "was not locked";
  process.stdout.write(`stack ${stack} ${was}\n`);
  return 0;
});
