import { setTimeout as sleep } from "node:timers/promises";
import type { DeployConfig } from "../config/types";
import { ledRelease } from "../edge/switch";
import type { DockerEngine } from "../engine/docker";
import type { Verdict } from "../freshness/chain";
import { straysVerdict } from "../freshness/container/strays";
import { settleSecondsOf } from "../proof/settle";
import type { DeployRecord } from "../release/record";
import { type FoundStray, idsOf, readStrays } from "../release/strays";
import { stackName } from "./project";
import { readRecord } from "./state";
import { isUnderWay } from "./underWay";

/** Maximum seconds to stop and remove a container, besides draining its requests. */
const REMOVAL_SECONDS = 20;
/** Seconds that a deploy may take between its containers, besides its configured times. */
const SPARE_SECONDS = 60;
const POLL_MS = 2_000;

/** What to look for beside the served release. */
export interface StraysOf {
  readonly engine: DockerEngine;
  readonly stack: string;
  readonly config: DeployConfig;
  readonly record: DeployRecord;
}

/**
 * Judges whether containers or services run beside the served release. During a deploy both the new and the old ones
 * are fine. Its lock shows that a deploy is under way; if the backend hides its locks, the age of the containers
 * decides.
 */
export async function judgeStrays(of: StraysOf): Promise<Verdict> {
  const { engine, stack, config } = of;
  if ((await strays(of)).length === 0) return straysVerdict([]);
  const underWay = isUnderWay(stack);
  const patience = underWay === undefined ? config.drainSeconds + REMOVAL_SECONDS : 0;
  for (const deadline = Date.now() + patience * 1000; ; ) {
    // A deploy that has just ended has written a new record.
    const found = await strays({ ...of, record: await readRecord(stack) });
    if (found.length === 0) return straysVerdict([]);
    if (underWay) return straysVerdict(found, "a deploy is under way");
    if (Date.now() < deadline) {
      await sleep(POLL_MS);
      continue;
    }
    const isNew = underWay === undefined && (await areNew(engine, config, found));
    return straysVerdict(found, isNew ? "just started: a deploy may be under way" : undefined);
  }
}

function strays({ engine, stack, record: { deployment } }: StraysOf): Promise<FoundStray[]> {
  return readStrays(engine, stackName(stack), {
    known: idsOf([deployment]),
    isSwarm: deployment.cluster !== undefined,
    readLed: () => ledRelease(engine, deployment.edge),
  });
}

/** Whether all of them may belong to a deploy that began recently. */
async function areNew(
  engine: DockerEngine,
  config: DeployConfig,
  found: readonly FoundStray[],
): Promise<boolean> {
  const longest = config.services.map(
    (service) => service.startSeconds + settleSecondsOf(service, config) + SPARE_SECONDS,
  );
  const since = (await engine.now()) - Math.max(...longest) * 1000;
  return found.every(({ created }) => created > since);
}
