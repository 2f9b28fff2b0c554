import { type Backup, copyFailure, takeBackup } from "../release/backup";
import { assertBackedUp, withData } from "./backupPlans";
import { ProjectCommand } from "./command";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("backup")
  .description(
    "Takes a backup of each accessory and service that has `backup` in the configuration, into a folder on the engine's machine.",
  )
  .argument("[name]", "an accessory or a service (default: all)")
  .ofStack()
  .json();

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const [name] = command.processedArgs as [string | undefined];
  const open = await openStack(stack);
  const taken: Backup[] = [];
  for (const plan of assertBackedUp(open, name)) {
    const backup = await takeBackup(open.engine, plan, withData(open, plan));
    if (!json) process.stdout.write(`${backup.name} ${backup.id} ${backup.bytes} bytes\n`);
    taken.push(backup);
  }
  if (json) process.stdout.write(`${JSON.stringify(taken, null, 2)}\n`);
  const failed = taken.filter(({ notCopied }) => notCopied !== undefined);
  for (const each of failed) process.stderr.write(`error: ${copyFailure(each)}\n`);
  return failed.length === 0 ? 0 : 1;
});
