import { SERVICE_LABEL, VOLUME_LABEL } from "../freshness/labels";
import { commandLine } from "../freshness/project";
import type { DockerEngine } from "./docker";
import { stackLabel } from "./inventory";

/** A volume of a stack, as the engine has it. */
export interface VolumeOnEngine {
  /** Its name in the configuration, or on the engine if the former is unknown. */
  readonly id: string;
  readonly name: string;
  /** The containers that use it, by name. */
  readonly users: readonly string[];
}

/** Lists the volumes with the services' data, without the edge's. */
export async function dataVolumes(engine: DockerEngine, stack: string) {
  const listed = await engine.listVolumes(stackLabel(stack));
  return listed.filter(({ labels }) => labels[SERVICE_LABEL] === undefined);
}

/** Like `readVolumes`, with the containers that use them. */
export async function stackVolumesOf(engine: DockerEngine, stack: string): Promise<VolumeOnEngine[]> {
  const volumes = await dataVolumes(engine, stack);
  if (volumes.length === 0) return [];
  const listed = await engine.listContainers([stackLabel(stack)], { all: true });
  const containers = await engine.inspectContainers(listed.map(({ id }) => id));
  return volumes.map(({ name, labels }) => ({
    id: labels[VOLUME_LABEL] ?? name,
    name,
    users: containers
      .filter(({ mounts }) => mounts.some(({ source }) => source === name))
      .map((container) => container.name),
  }));
}

/** Returns the notice about volumes that stay when a stack is destroyed. */
export function keptText(stack: string, volumes: readonly VolumeOnEngine[]): string {
  const lines = volumes.map(({ id, name }) => `  ${id}${id === name ? "" : ` (${name})`}`);
  const names = volumes.map(({ id }) => `--delete ${id}`).join(" ");
  const are = volumes.length === 1 ? "volume is" : "volumes are";
  return `${volumes.length} ${are} kept, with all data:\n${lines.join("\n")}\nThe next \`up\` of the stack uses them again. To delete them: ${commandLine(`volumes --stack ${stack} ${names}`)}\n`;
}
