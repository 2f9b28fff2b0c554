import { Command } from "commander";
import { type Backup, takeBackup } from "../release/backup";
import { assertBackedUp, withData } from "./backupPlans";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new Command("backup")
  .description(
    "Takes a backup of each accessory and service that has `backup` in the configuration, into a folder on the engine's machine.",
  )
  .argument("[name]", "an accessory or a service (default: all)")
  .option("--stack <name>", "the stack", "dev")
  .option("--json", "print JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

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
  return 0;
});
