import { setTimeout as sleep } from "node:timers/promises";
import type { DockerEngine } from "../engine/docker";
import { ledRelease } from "../engine/edgeFiles";
import { readInventory } from "../engine/inventory";
import type { Verdict } from "../freshness/chain";
import { type Expected, type Stray, straysOf, straysVerdict } from "../freshness/container/strays";
import { SERVICE_LABEL } from "../freshness/labels";
import { type Deployment, idsOf } from "./deployment";
import { settleSecondsOf } from "./settle";
import type { StackMemory } from "./stackMemory";
import type { ToProve } from "./toProve";

/** Something of a stack that runs in addition to the serving release. */
interface FoundStray extends Stray {
  readonly id: string;
  readonly kind: "container" | "service";
  /** When it was created, by the engine's clock, in milliseconds since 1970. */
  readonly created: number;
}

/** What a stack is known to consist of. */
interface KnownOfStack extends Pick<Expected, "known"> {
  readonly isSwarm: boolean;
  /** Reads which release the edge routes to. Called only if something unknown runs. */
  readonly readLed: () => Promise<string | undefined>;
}

/** Lists what runs of a stack but does not belong to a serving release. */
export async function readStrays(
  engine: DockerEngine,
  stack: string,
  { isSwarm, known, readLed }: KnownOfStack,
): Promise<FoundStray[]> {
  const found = await readInventory(engine, stack, { isSwarm, known, kinds: ["container", "service"] });
  const suspects = straysOf(
    found.filter(({ running }) => running),
    { known },
  );
  if (suspects.length === 0) return [];
  const led = await readLed();
  const ids = suspects.filter(({ kind }) => kind === "container").map(({ id }) => id);
  const containers = (await engine.inspectContainers(ids)).map(({ id, name, created, networks }) => ({
    id,
    kind: "container" as const,
    name,
    created,
    stop: `docker update --restart=no ${name} && docker stop ${name}`,
    names: networks.flatMap(({ names }) => names),
    labels: suspects.find((each) => each.id === id)?.labels ?? {},
  }));
  const services = suspects.flatMap(({ kind, id, name = id, created = 0, labels, names }) =>
    kind === "service"
      ? [{ id, kind, name, created, stop: `docker service scale ${name}=0`, names, labels }]
      : [],
  );
  const all = [...containers, ...services];
  return straysOf(all, { known, led }).map(({ names: _, labels, ...stray }) => ({
    ...stray,
    service: labels[SERVICE_LABEL] ?? "",
  }));
}

/** Maximum seconds to stop and remove a container, besides draining its requests. */
const REMOVAL_SECONDS = 20;
/** Seconds that a deploy may take between its containers, besides its configured times. */
const SPARE_SECONDS = 60;
const POLL_MS = 2_000;

/**
 * Proves that nothing of the stack runs beside the served release. During a deploy both the new and the old ones are fine.
 * Its lock shows that a deploy is under way; if the backend hides its locks, the age of the containers decides.
 */
export async function proveStrays({ engine, deployment, memory }: ToProve): Promise<Verdict[]> {
  if (memory === undefined) return [];
  const { name, config } = memory;
  if ((await straysOfStack(engine, name, deployment)).length === 0) return [straysVerdict([])];
  const underWay = memory.isUnderWay();
  const patience = underWay === undefined ? config.drainSeconds + REMOVAL_SECONDS : 0;
  for (const deadline = Date.now() + patience * 1000; ; ) {
    // A deploy that has just ended has written a new record.
    const found = await straysOfStack(engine, name, await memory.deploymentNow());
    if (found.length === 0) return [straysVerdict([])];
    if (underWay) return [straysVerdict(found, "a deploy is under way")];
    if (Date.now() < deadline) {
      await sleep(POLL_MS);
      continue;
    }
    const isNew = underWay === undefined && (await areNew(engine, config, found));
    return [straysVerdict(found, isNew ? "just started: a deploy may be under way" : undefined)];
  }
}

function straysOfStack(engine: DockerEngine, stack: string, deployment: Deployment): Promise<FoundStray[]> {
  return readStrays(engine, stack, {
    known: idsOf([deployment]),
    isSwarm: deployment.cluster !== undefined,
    readLed: () => ledRelease(engine, deployment.edge),
  });
}

/** Whether all of them may belong to a deploy that began recently. */
async function areNew(
  engine: DockerEngine,
  config: StackMemory["config"],
  found: readonly FoundStray[],
): Promise<boolean> {
  const longest = config.services.map(
    (service) => service.startSeconds + settleSecondsOf(service, config) + SPARE_SECONDS,
  );
  const since = (await engine.now()) - Math.max(...longest) * 1000;
  return found.every(({ created }) => created > since);
}
