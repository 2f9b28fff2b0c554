import { readLock, removeLock } from "../engine/stackLock";
import { ProjectCommand } from "./command";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("unlock")
  .description("Takes the lock of a stack away that `lock` has set.")
  .ofStack();

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
