import { listBackups } from "../release/backup";
import { assertBackedUp } from "./backupPlans";
import { ProjectCommand } from "./command";
import { openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("backups")
  .description("Lists the backups on the engine's machine, the newest first.")
  .argument("[name]", "an accessory or a service (default: all)")
  .ofStack()
  .json();

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const [name] = command.processedArgs as [string | undefined];
  const open = await openStack(stack);
  const listing = assertBackedUp(open, name).map((plan) => listBackups(open.engine, plan, open.stack));
  const found = (await Promise.all(listing)).flat();
  if (json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else for (const { name, id, bytes } of found) process.stdout.write(`${name} ${id} ${bytes} bytes\n`);
  return 0;
});
