import { restartAccessory } from "../release/accessory";
import { writeIntent } from "../release/intent";
import { ProjectCommand } from "./command";
import { deploy } from "./deploy";
import { assertNamed, openStack } from "./openStack";
import { run, stackName } from "./project";
import { readRecord } from "./state";

const command = new ProjectCommand("restart")
  .description(
    "Starts the served release in new containers beside the old ones, proves them and switches: without a build and without a failed request. The services of a release restart together. An accessory is stopped and started.",
  )
  .argument("[service]", "a service of the release, or an accessory")
  .ofStack()
  .json("certificate");

run(async () => {
  const started = performance.now();
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const [service] = command.processedArgs as [string | undefined];
  const record = await readRecord(stack);
  if (service !== undefined) assertNamed({ record, stack: stackName(stack) }, service);
  const accessory = record.deployment.accessories?.find(({ name }) => name === service);
  if (accessory) {
    const { engine, stack: name } = await openStack(stack);
    await restartAccessory(engine, { stack: name, edge: record.deployment.edge, accessory });
    process.stdout.write(`${accessory.name} was restarted and is healthy\n`);
    return 0;
  }
  writeIntent({ restart: record.current.commit });
  return deploy(stack, ["--yes", "--skip-preview"], { json, started });
});
