import type { DockerEngine } from "../engine/docker";
import { stackVolumesOf, type VolumeOnEngine } from "../engine/volumes";
import { knownVolumes } from "../release/volumePlan";
import { ProjectCommand } from "./command";
import { readStackConfig, run, stackName, UsageError } from "./project";
import { reachEngine } from "./server";
import { readRecordIfAny, readSecretConfig } from "./state";

interface Options {
  readonly stack: string;
  readonly delete: readonly string[];
  readonly json?: boolean;
}

const command = new ProjectCommand("volumes")
  .description("Lists the volumes of a stack, including a destroyed one, and deletes the named ones.")
  .ofStack()
  .option(
    "--delete <name>",
    "delete this volume and all its data; repeatable",
    (name: string, before: string[]) => [...before, name],
    [] as string[],
  )
  .json();

run(async () => {
  const { stack, delete: names, json } = command.parse().opts<Options>();
  const config = readStackConfig(stack);
  // Only a server needs a secret, which requires the stack itself.
  const engine = await reachEngine(config.server ? await readSecretConfig(stack) : config);
  const volumes = await readVolumes(engine, stack);
  const chosen = names.map((name) => {
    const found = volumes.find(({ id, name: own }) => id === name || own === name);
    if (found) return found;
    const all = volumes.map(({ id }) => id).join(", ") || "none";
    throw new UsageError(`stack ${stackName(stack)} has no volume "${name}"; there are: ${all}`);
  });
  const used = chosen.find(({ users }) => users.length > 0);
  if (used)
    throw new UsageError(
      `volume ${used.id} is used by ${used.users.join(", ")}; remove it from the configuration and deploy, or destroy the stack, then delete it`,
    );
  for (const { id, name } of chosen) {
    await engine.docker(["volume", "rm", name]);
    process.stderr.write(`deleted volume ${id} (${name})\n`);
  }
  const left = volumes.filter((volume) => !chosen.includes(volume));
  if (json) process.stdout.write(`${JSON.stringify(left, null, 2)}\n`);
  else if (names.length === 0) process.stdout.write(`${left.map(line).join("\n") || "no volumes"}\n`);
  return 0;
});

/** Volumes by the names of the configuration and `--delete`. */
async function readVolumes(engine: DockerEngine, stack: string): Promise<VolumeOnEngine[]> {
  const [record, found] = await Promise.all([
    readRecordIfAny(stack),
    stackVolumesOf(engine, stackName(stack)),
  ]);
  const known = knownVolumes(record);
  return found.map((volume) => {
    const id = known.find(({ name }) => name === volume.name)?.id;
    return id === undefined ? volume : { ...volume, id };
  });
}

function line({ id, name, users }: VolumeOnEngine): string {
  const by = users.length > 0 ? `used by ${users.join(", ")}` : "kept, no container uses it";
  return `${id}${id === name ? "" : ` (${name})`}: ${by}`;
}
