import type { DockerEngine } from "../engine/docker";
import { ledRelease } from "../engine/edgeFiles";
import { serviceLabel, stackLabel } from "../engine/inventory";
import { stopForGood } from "../engine/orphans";
import { idsOf } from "../proof/deployment";
import { readStrays } from "../proof/strays";
import type { ResourceChange } from "./events";
import { stackName } from "./project";
import { reachEngine } from "./server";
import { readRecordIfAny, readSecretConfig } from "./state";

/** Whether an operation has begun to start containers of a release, or Swarm services. */
export function startsRelease(changes: readonly ResourceChange[]): boolean {
  return changes.some(({ type, name }) => /^docker (Container|Service)$/.test(type) && name !== "edge");
}

/**
 * Stops what a failed deploy has started, if the program ended before it could, such as after the engine refused to
 * start a container.
 *
 * @returns the names of the stopped containers and services
 */
export async function stopFailed(stack: string): Promise<string[]> {
  const config = await readSecretConfig(stack);
  const engine = await reachEngine(config);
  // Later ones belong to another deploy.
  const [now, record, [edge]] = await Promise.all([
    engine.now(),
    readRecordIfAny(stack),
    edgesOf(engine, stackName(stack)),
  ]);
  const found = await readStrays(engine, stackName(stack), {
    known: idsOf([record?.deployment]),
    isSwarm: config.cluster !== undefined,
    readLed: async () => (edge === undefined ? undefined : ledRelease(engine, edge)),
  });
  const strays = found.filter(({ created }) => created <= now);
  await stopForGood(engine, strays);
  return strays.map(({ name }) => name);
}

async function edgesOf(engine: DockerEngine, stack: string): Promise<string[]> {
  const labels = [stackLabel(stack), serviceLabel("edge")];
  return (await engine.listContainers(labels)).map(({ id }) => id);
}
