import { awaitAccessory } from "../proof/accessory";
import { listBackups, restoreBackup, takeBackup } from "../release/backup";
import { assertBackedUp, withData } from "./backupPlans";
import { ProjectCommand } from "./command";
import { openStack } from "./openStack";
import { run, UsageError } from "./project";

interface Options {
  readonly stack: string;
  readonly from: string;
  readonly yes?: boolean;
  readonly backup: boolean;
}

const command = new ProjectCommand("restore")
  .description("Reads a backup back, after a backup of the present data.")
  .argument("<name>", "an accessory or a service")
  .ofStack()
  .option("--from <backup>", "which one, as `backups` lists it", "latest")
  .option("--no-backup", "take no backup of the present data")
  .option("--yes", "confirm: the present data is overwritten");

run(async () => {
  const { stack, from, yes, backup } = command.parse().opts<Options>();
  const [name] = command.processedArgs as [string];
  if (!yes) throw new UsageError(`restore writes over the data of ${name}; say so with --yes`);
  const open = await openStack(stack);
  const { engine, record } = open;
  const [plan] = assertBackedUp(open, name);
  const of = withData(open, plan);
  const found = await listBackups(engine, plan, open.stack);
  const chosen = from === "latest" ? found[0] : found.find(({ id }) => id === from);
  if (chosen === undefined)
    throw new UsageError(
      `there is no backup ${from} of ${name}; there are: ${found.map(({ id }) => id).join(", ") || "none"}`,
    );
  if (backup) {
    // One more than are kept: the one that is asked for may be the oldest.
    const before = await takeBackup(engine, { ...plan, keep: plan.keep + 1 }, of);
    process.stdout.write(`the data before: ${before.name} ${before.id}\n`);
  }
  await restoreBackup(engine, plan, { ...of, id: chosen.id });
  const accessory = record.deployment.accessories?.find((each) => each.name === name);
  const facts = accessory && (await awaitAccessory(engine, record.deployment.edge, accessory));
  if (facts?.unhealthy !== undefined) throw new Error(`${name} is not healthy: ${facts.unhealthy}`);
  process.stdout.write(`${name} has the data of ${chosen.id}\n`);
  return 0;
});
