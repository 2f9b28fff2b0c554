import * as pulumi from "@pulumi/pulumi";
import { type Draining, drain } from "../edge/drain";
import type { DockerEngine } from "../engine/docker";
import type { Deployment } from "../proof/deployment";
import { followersAddresses } from "../proof/followers";
import { runtimeOf } from "../proof/runtime";

/** How long to do nothing but wait for requests after a switch. */
const CALM_SECONDS = 1;

/** Progress of the wait for requests to the old containers. */
export interface OldDrain {
  /**
   * Resolves when the first moments after the switch are over. All clients move to the new containers in that time, and
   * parallel work would slow their requests down.
   */
  readonly calm: Promise<unknown>;
  /**
   * Resolves when the last requests have ended. Always awaited, even if other steps fail, because Pulumi stops the old
   * containers next.
   */
  readonly over: Promise<unknown>;
}

/** The old containers and the new ones. */
export interface Replaced {
  readonly deployment: Deployment;
  /** The previous deployment. */
  readonly last?: Deployment;
  /** Running containers that are not in the state. They are removed after the switch. */
  readonly strays?: readonly string[];
  /** How long to wait for requests to the old containers. */
  readonly drainSeconds: number;
}

/** Starts to wait for the requests to the old containers. */
export function drainOld(engine: DockerEngine, of: Replaced): OldDrain {
  const { drainSeconds } = of;
  const calm = connectionsToOld(engine, of).then(async (old) => {
    const left = old && (await drain(engine, { ...old, seconds: Math.min(CALM_SECONDS, drainSeconds) }));
    return left ? old : undefined;
  });
  const over = calm.then((old) => old && drainLast(engine, old, drainSeconds));
  // If the release is taken back meanwhile, neither is awaited.
  for (const each of [calm, over]) each.catch(ignoreTakenBack);
  return { calm, over };
}

function ignoreTakenBack(): void {}

/**
 * The addresses of the old containers, and the edges whose connections to watch; undefined if no containers are
 * removed.
 */
async function connectionsToOld(
  engine: DockerEngine,
  { deployment, last, strays = [] }: Replaced,
): Promise<Omit<Draining, "seconds"> | undefined> {
  const { edge, services, id: release, cluster } = deployment;
  const now = services.map(({ container }) => container);
  const old = (last?.services ?? []).filter(({ container }) => !now.includes(container));
  if (old.length + strays.length === 0) return undefined;
  // Followers that this deploy removes also route to this release until they stop.
  const led = { ...deployment, followers: deployment.followers ?? last?.followers };
  const [addresses, unknown, followers] = await Promise.all([
    last === undefined ? [] : runtimeOf(last).addresses(engine, old),
    engine.inspectContainers(strays),
    cluster === undefined ? [] : followersAddresses(engine, led),
  ]);
  const others = unknown.flatMap(({ networks }) => networks.map(({ address }) => address));
  return { edge, addresses: [...addresses, ...others], followers, release };
}

/** Waits for the rest of the requests' time. */
async function drainLast(
  engine: DockerEngine,
  connections: Omit<Draining, "seconds">,
  drainSeconds: number,
): Promise<void> {
  const left = await drain(engine, { ...connections, seconds: Math.max(0, drainSeconds - CALM_SECONDS) });
  if (left > 0)
    await pulumi.log.info(
      `${left} connections to the old containers are open after ${drainSeconds} s; they are closed now`,
    );
}
