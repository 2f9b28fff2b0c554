import { readLock, writeLock } from "../engine/stackLock";
import { commandLine } from "../freshness/project";
import { deployer } from "../release/releases";
import { ProjectCommand } from "./command";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("lock")
  .description("Stops every deploy, rollback and restart of a stack until `unlock`, from whatever machine.")
  .requiredOption("--message <text>", "why, for whoever deploys next")
  .ofStack();

run(async () => {
  const { stack, message } = command.parse().opts<{ stack: string; message: string }>();
  const { engine, record } = await openStack(stack);
  const { edge } = record.deployment;
  const before = await readLock(engine, edge);
  if (before)
    throw new Error(
      `stack ${stack} is locked already, by ${before.by} since ${before.since}: ${before.message}; take that away first with "${commandLine(`unlock --stack ${stack}`)}"`,
    );
  await writeLock(engine, edge, { message, by: deployer(), since: new Date().toISOString() });
  process.stdout.write(`stack ${stack} is locked; "${commandLine(`unlock --stack ${stack}`)}" ends it\n`);
  return 0;
});
