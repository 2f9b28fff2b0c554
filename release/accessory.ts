import type { DockerEngine } from "../engine/docker";
import { EngineError } from "../engine/problems";
import { startWatchdog } from "../engine/watchdog";
import { assertUnbroken } from "../freshness/chain";
import {
  type AccessoryFacts,
  accessoryVerdict,
  type DeployedAccessory,
  notHealthyInTime,
} from "../freshness/container/accessory";
import { awaitAccessory } from "../proof/accessory";
import { rescue, start, stop } from "./recreate";

/** Names an accessory's containers; they have no service's label, for they are of no release. */
const ACCESSORY_LABEL = "watch-party.accessory";

/**
 * The ID of an image by its name, which is fetched where the engine does not have it.
 *
 * @param name `repository:tag`, `repository:tag@sha256:…`, or an ID
 */
export async function resolveImage(
  engine: DockerEngine,
  name: string,
): Promise<{ readonly id: string; readonly digest?: string }> {
  // The engine knows an image by its tag or by its digest, not by both together.
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

/**
 * Lets a new container of an accessory take the place of the old one: that one stops, the new one starts and has to become
 * healthy; where it does not, the old one is started again. Never do two run on the volumes. One that runs already stays.
 *
 * @param edge asks the port, for want of a command
 * @throws FreshnessError where the new one is refused
 */
export async function settleAccessory(
  engine: DockerEngine,
  {
    stack,
    edge,
    accessory,
  }: { readonly stack: string; readonly edge: string; readonly accessory: DeployedAccessory },
): Promise<void> {
  const { name, container } = accessory;
  const labels = [`watch-party.stack=${stack}`, `${ACCESSORY_LABEL}=${name}`];
  const listed = await engine.listContainers(labels, { all: true });
  const all = await engine.inspectContainers(listed.map(({ id }) => id));
  const own = all.find(({ id }) => id === container);
  const rivals = all.filter(
    ({ id, running, restarts }) => id !== container && (running || restarts.restarting),
  );
  if (own?.running && rivals.length === 0) return;
  const stops = rivals.map(({ id }) => id);
  // A CLI that is killed takes this process with it: what was stopped is started by one that outlives it.
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

/** Stops an accessory and starts it again, and waits until it is healthy. */
export async function restartAccessory(
  engine: DockerEngine,
  {
    stack,
    edge,
    accessory,
  }: { readonly stack: string; readonly edge: string; readonly accessory: DeployedAccessory },
): Promise<void> {
  await engine.docker(["container", "restart", accessory.container], { timeoutSeconds: 15 * 60 });
  const facts = await awaitAccessory(engine, edge, accessory);
  assertUnbroken([accessoryVerdict(stack, accessory, facts)]);
}
