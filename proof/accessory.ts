import type { DockerEngine } from "../engine/docker";
import { until } from "../engine/until";
import type { Verdict } from "../freshness/chain";
import {
  type AccessoryFacts,
  accessoryVerdict,
  type DeployedAccessory,
} from "../freshness/container/accessory";
import type { ToProve } from "./toProve";

const HEALTH_SECONDS = 10;

/** Waits until an accessory is healthy, or for as long as it may take. @returns what was found last */
export function awaitAccessory(
  engine: DockerEngine,
  edge: string,
  accessory: DeployedAccessory,
): Promise<AccessoryFacts> {
  const deadline = Date.now() + accessory.startSeconds * 1000;
  const isGood = ({ running, unhealthy }: AccessoryFacts) => running && unhealthy === undefined;
  return until(deadline, () => readAccessory(engine, edge, accessory), isGood);
}

/** Proves what the engine says of accessories, their health included. A deploy waits for each one instead. */
export async function proveAccessories({ engine, deployment, memory }: ToProve): Promise<Verdict[]> {
  if (memory === undefined) return [];
  const { edge, accessories = [] } = deployment;
  const judged = accessories.map(async (accessory) =>
    accessoryVerdict(memory.name, accessory, await readAccessory(engine, edge, accessory)),
  );
  return Promise.all(judged);
}

async function readAccessory(
  engine: DockerEngine,
  edge: string,
  { container, name, health, port }: DeployedAccessory,
): Promise<AccessoryFacts> {
  const [found] = await engine.inspectContainers([container]);
  if (found === undefined) return { running: false };
  const facts = { name: found.name, running: found.running, image: found.image };
  if (!found.running) return { ...facts, log: await engine.lastLines("container", container) };
  if (found.health !== undefined && health === undefined && found.health !== "healthy")
    return { ...facts, unhealthy: `${found.health}, by the health check of its image` };
  const ask =
    health !== undefined
      ? ["exec", container, ...health]
      : port !== undefined
        ? ["exec", edge, "timeout", "3", "busybox", "nc", name, String(port), "-e", "true"]
        : undefined;
  if (ask === undefined) return facts;
  const failure = await engine.docker(ask, { timeoutSeconds: HEALTH_SECONDS }).then(
    () => undefined,
    (cause: Error) => cause.message,
  );
  if (failure === undefined) return facts;
  const words = health === undefined ? `no connection to port ${port}` : checkFailure(failure);
  return { ...facts, unhealthy: words };
}

/** Why a health check failed, in one line. */
function checkFailure(failure: string): string {
  if (/timed out/i.test(failure)) return `the health check gave no answer within ${HEALTH_SECONDS} s`;
  return `the health check fails: ${failure.replace(/\s+/g, " ").slice(0, 300)}`;
}
