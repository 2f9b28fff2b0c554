import type { DockerEngine } from "../engine/docker";
import { stackLabel } from "../engine/inventory";
import { EngineError } from "../engine/problems";
import { startWatchdog } from "../engine/watchdog";
import { assertUnbroken } from "../freshness/chain";
import {
  type AccessoryFacts,
  accessoryVerdict,
  type DeployedAccessory,
  notHealthyInTime,
} from "../freshness/container/accessory";
import { ACCESSORY_LABEL } from "../freshness/labels";
import { awaitAccessory } from "../proof/accessory";
import { rescue, start, stop } from "./recreate";

/**
 * Returns the ID of an image by its name. Pulls the image if the engine does not have it.
 * @param name `repository:tag`, `repository:tag@sha256:…`, or an ID
 */
export async function resolveImage(
  engine: DockerEngine,
  name: string,
): Promise<{ readonly id: string; readonly digest?: string }> {
  // The engine finds an image by its tag or by its digest, but not by both.
  const asked = name.replace(/:[^:/@]+@/, "@");
  const found = (await engine.inspectImage(asked)) ?? (await pulled(engine, asked));
  return { id: found.Id, digest: found.RepoDigests?.[0] };
}

async function pulled(engine: DockerEngine, name: string) {
  const failure = await engine.pull(name).then(
    () => "no such image",
    (cause: Error) => cause.message,
  );
  const found = await engine.inspectImage(name);
  if (found) return found;
  throw new EngineError(`the engine has no image ${name}, and cannot fetch it: ${failure}`);
}

/** An accessory of a stack, and the edge that connects to its port if it has no health check command. */
interface AccessoryOfStack {
  readonly stack: string;
  readonly edge: string;
  readonly accessory: DeployedAccessory;
}

/**
 * Replaces the old container of an accessory with the new one. The old one stops, and the new one starts and must
 * become healthy. If it does not, the old one starts again. Two never run on the same volumes. A container that already
 * runs stays.
 * @throws FreshnessError if the new container is refused
 */
export async function settleAccessory(
  engine: DockerEngine,
  { stack, edge, accessory }: AccessoryOfStack,
): Promise<void> {
  const { name, container } = accessory;
  const labels = [stackLabel(stack), `${ACCESSORY_LABEL}=${name}`];
  const listed = await engine.listContainers(labels, { all: true });
  const all = await engine.inspectContainers(listed.map(({ id }) => id));
  const own = all.find(({ id }) => id === container);
  const rivals = all.filter(
    ({ id, running, restarts }) => id !== container && (running || restarts.restarting),
  );
  if (own?.running && rivals.length === 0) return;
  const stops = rivals.map(({ id }) => id);
  // If the CLI is killed, this process ends too. The watchdog outlives it and starts what was stopped.
  const watchdog = startWatchdog(engine, rescue([{ next: container, back: stops }]));
  let facts: AccessoryFacts;
  try {
    await Promise.all(stops.map((id) => stop(engine, id)));
    await start(engine, container);
    facts = await awaitAccessory(engine, edge, accessory);
  } catch (cause) {
    await takeBack(engine, container, stops);
    watchdog.callOff();
    throw cause;
  }
  if (facts.running && facts.unhealthy === undefined) return watchdog.callOff();
  const log = await engine.lastLines("container", container);
  await takeBack(engine, container, stops);
  watchdog.callOff();
  const back = stops.length > 0 ? "the old container was started again" : "it was stopped";
  assertUnbroken([notHealthyInTime(accessory, own?.name ?? container, { ...facts, log }, back)]);
}

async function takeBack(engine: DockerEngine, next: string, back: readonly string[]): Promise<void> {
  await stop(engine, next);
  for (const id of back) await start(engine, id);
}

/** Restarts an accessory and waits until it is healthy. */
export async function restartAccessory(
  engine: DockerEngine,
  { stack, edge, accessory }: AccessoryOfStack,
): Promise<void> {
  await engine.docker(["container", "restart", accessory.container], { timeoutSeconds: 15 * 60 });
  const facts = await awaitAccessory(engine, edge, accessory);
  assertUnbroken([accessoryVerdict(stack, accessory, facts)]);
}
