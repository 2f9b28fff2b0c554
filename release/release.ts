import * as pulumi from "@pulumi/pulumi";
import type { Site } from "../edge/caddy";
import { type Switching, switchAndProve } from "../edge/switch";
import type { DockerEngine } from "../engine/docker";
import { ledRelease } from "../engine/edgeFiles";
import { stopForGood } from "../engine/orphans";
import { isBroken, type Verdict } from "../freshness/chain";
import { proveAnswers } from "../proof/answers";
import { type Deployment, idsOf } from "../proof/deployment";
import { readStrays } from "../proof/strays";
import { drainOld, type OldDrain, type Replaced } from "./drainOld";
import { fail } from "./failure";
import { type Recreation, recreate } from "./recreate";

/**
 * Routes the edge to a deployment and proves it. If a proof fails, the previous release keeps serving. This is not a
 * resource: it runs at every `up`, including one without changes, so that a failed `up` can simply be repeated. The old
 * containers still exist: Pulumi removes them after everything has succeeded.
 * @returns the verdicts; the first broken link fails the `up`, and the refused release stops
 */
export function release(
  engine: DockerEngine,
  deployment: pulumi.Output<Deployment>,
  site: Site,
  { stack = pulumi.getStack(), last, commands, pauses, drainSeconds, refused, ...switching }: Releasing,
): pulumi.Output<Released> {
  return pulumi.all([deployment, commands]).apply(async ([of, commands]) => {
    let draining: OldDrain | undefined;
    try {
      const before = new Map(Object.entries(commands));
      const recreation = pauses ?? (await recreate(engine, stack, { deployment: of, last }, before));
      // Checks that were started early connected to containers that were not running.
      const begun = recreation.started ? undefined : switching.begun;
      const ready = () => {
        recreation.settle();
        switching.ready?.();
      };
      const served = () => {
        switching.served?.();
        draining = drainOld(engine, { deployment: of, last, drainSeconds });
      };
      const verdicts = await switchAndProve(engine, of, site, { ...switching, begun, ready, served }).catch(
        async (cause: Error) => {
          const left = recreation.started ? await takeBack(engine, recreation, last) : "";
          throw left === "" ? cause : new Error(`${cause.message} ${left}`);
        },
      );
      return { verdicts, draining };
    } catch (cause) {
      if (await stopRefused(engine, { stack, last, edge: of.edge })) refused?.();
      return fail(cause as Error);
    }
  });
}

/**
 * Starts what was stopped for a refused release, and waits until it answers.
 * @returns a warning if it does not answer; empty if it does
 */
async function takeBack(
  engine: DockerEngine,
  recreation: Recreation,
  last: Deployment | undefined,
): Promise<string> {
  try {
    await recreation.takeBack();
    const services = last?.services.filter(({ container }) => recreation.old.includes(container)) ?? [];
    const answers =
      last && services.length > 0 ? await proveAnswers({ engine, deployment: { ...last, services } }) : [];
    const silent = answers.filter(isBroken).map(({ service }) => service);
    return silent.length === 0
      ? ""
      : `The old containers were started again; not answering: ${silent.join(", ")}.`;
  } catch (cause) {
    return `The old containers were not started again: ${(cause as Error).message}`;
  }
}

/** A release that is served and proven. */
export interface Released {
  readonly verdicts: readonly Verdict[];
  /** The wait for requests to the old containers; absent if nothing was switched. */
  readonly draining?: OldDrain;
}

/** The inputs of a release. */
export interface Releasing extends Switching, Pick<Replaced, "last" | "drainSeconds"> {
  /** The label of the containers. Default: the Pulumi stack's name. */
  readonly stack?: string;
  /** The tasks that have already stopped, on a Swarm. */
  readonly pauses?: Recreation;
  /** Service → its release command, if it waits until the old container has stopped. */
  readonly commands: pulumi.Output<Readonly<Record<string, () => Promise<void>>>>;
  /** Called once a release is refused and none of it runs. */
  readonly refused?: () => void;
}

/**
 * Stops what runs of this stack and does not belong to a serving release, so that a refused release does no more work.
 * It is not removed: its log shows the cause, and the next deploy replaces it.
 * @returns whether none of it runs any more
 */
export async function stopRefused(
  engine: DockerEngine,
  {
    stack = pulumi.getStack(),
    last,
    edge,
    deployment,
  }: { stack?: string; last?: Deployment; edge: string; deployment?: Deployment },
): Promise<boolean> {
  try {
    const isSwarm = [last, deployment].some((of) => of?.cluster !== undefined);
    const known = idsOf([last, deployment]);
    const readLed = () => ledRelease(engine, edge);
    const strays = await readStrays(engine, stack, { known, readLed, isSwarm });
    if (strays.length === 0) return true;
    await stopForGood(engine, strays);
    await pulumi.log.info(
      `stopped containers that belong to no serving release: ${strays.map(({ name }) => name).join(", ")}`,
    );
    return true;
  } catch (cause) {
    await pulumi.log.warn(`containers of the refused release may still run: ${(cause as Error).message}`);
    return false;
  }
}
