import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { serveAssets, storeAssets } from "../edge/assets";
import type { Site } from "../edge/caddy";
import { type Draining, drain } from "../edge/drain";
import { type Switching, switchAndProve } from "../edge/switch";
import type { DockerEngine } from "../engine/docker";
import { ledRelease } from "../engine/edgeFiles";
import { RELEASES_FILE } from "../engine/edgeNames";
import { stopForGood } from "../engine/orphans";
import { isBroken, type Verdict } from "../freshness/chain";
import { proveAnswers } from "../proof/answers";
import { type Deployment, idsOf, withoutReplicas } from "../proof/deployment";
import { followersAddresses } from "../proof/followers";
import { createProbe } from "../proof/imageFiles";
import { runtimeOf } from "../proof/runtime";
import { readStrays } from "../proof/strays";
import { shortIdentity } from "../source/checkout";
import { dependencyRepository } from "./dependencies";
import { fail } from "./failure";
import { sweep } from "./orphans";
import type { DeployRecord, ReleaseRecord } from "./record";
import { type Recreation, recreate } from "./recreate";
import { listReleases } from "./releases";

/**
 * Returns a release's ID for host names. It depends on the images and on everything that its containers are made of.
 */
export function releaseId(commit: string, attemptId: string, digests: readonly string[]): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([attemptId, digests]))
    .digest("hex");
  return `${commit.slice(0, 7)}-${hash.slice(0, 8)}`;
}

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

/** Progress of the wait for requests to the old containers. */
interface OldDrain {
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

/** The inputs of a release. */
export interface Releasing extends Switching, Pick<AfterRelease, "last" | "drainSeconds"> {
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

/** Copies a new release's assets into the edge while its containers start. This does not affect the serving release. */
export async function store(engine: DockerEngine, deployment: Deployment, build: string): Promise<void> {
  try {
    await runtimeOf(deployment).withFiles(engine, withoutReplicas(deployment.services), (services) =>
      storeAssets(engine, { ...deployment, services }, build),
    );
  } catch (cause) {
    // The release itself does not need these assets. Its pages that stay open after the next release do.
    await pulumi.log.warn(`the clean-up is incomplete: ${(cause as Error).message}`);
  }
}

/** What to do once a release is served and proven. */
export interface AfterRelease {
  readonly deployment: Deployment;
  /** The previous deployment. */
  readonly last?: Deployment;
  readonly record: DeployRecord;
  /** The builds whose assets the edge had before the switch. */
  readonly kept: readonly string[];
  /** Running containers that are not in the state. They are removed after the switch. */
  readonly strays?: readonly string[];
  /** Volumes that the state did not have when the deploy began. */
  readonly volumes?: readonly string[];
  /** How long to wait for requests to the old containers. */
  readonly drainSeconds: number;
  /** That wait, started when the release was served. */
  readonly draining?: OldDrain;
  /** The engine that builds, if it is another one. It keeps the same images. */
  readonly builder?: DockerEngine;
  /** The clean-up that started once the containers existed. */
  readonly clearing?: Promise<void>;
  /** The names of the services' images. */
  readonly repositories: readonly string[];
  /** The address of the registry that images are pushed to. During a push, the images have names with this address. */
  readonly registry?: string;
  /** Free bytes before the build. Absent if nothing was built or the engine cannot report it. */
  readonly freeBefore?: number;
}

/** How long to do nothing but wait for requests after a switch. */
const CALM_SECONDS = 1;

/**
 * Keeps what the kept releases need on the engine's machine: their images, their assets, and a list of them in the
 * edge's volume. Removes the rest: other images, and the proven images of stages.
 */
export async function keepReleases(engine: DockerEngine, after: AfterRelease): Promise<void> {
  const { deployment, last, record, freeBefore, draining } = after;
  try {
    await draining?.calm;
    const done = await Promise.allSettled([
      draining?.over,
      after.clearing,
      keepAssets(engine, after),
      listKept(engine, after),
      removeOld(engine, after),
    ]);
    const failures = done.flatMap((each) =>
      each.status === "rejected" ? [String(each.reason.message)] : [],
    );
    if (failures.length > 0) throw new Error(failures.join("; "));
    if (last && last.network !== deployment.network) await runtimeOf(last).leave(engine, last, deployment);
  } catch (cause) {
    // The release is served and proven. A failed clean-up does not fail it.
    await pulumi.log.warn(`the clean-up is incomplete: ${(cause as Error).message}`);
  }
  if (freeBefore === undefined) return;
  // An engine that does not answer now does not fail a proven release.
  const free = await engine.freeBytes().catch(async (cause: Error) => {
    await pulumi.log.warn(`free disk cannot be read: ${cause.message}`);
    return undefined;
  });
  const { length } = record.releases;
  const kept = length === 1 ? "1 release is kept" : `${length} releases are kept`;
  if (free !== undefined)
    await pulumi.log.info(
      `Disk: ${gibibytes(freeBefore)} free before the build, ${gibibytes(free)} now; ${kept}`,
    );
}

/** Makes the edge serve the assets of the kept releases and no others. */
async function keepAssets(
  engine: DockerEngine,
  { deployment, record, kept }: Pick<AfterRelease, "deployment" | "record" | "kept">,
): Promise<void> {
  const earlier = record.releases.filter(({ build }) => build.id !== record.current.build.id);
  for (const release of earlier.filter(({ build }) => !kept.includes(build.id)))
    await restoreAssets(engine, deployment, release);
  const builds = record.releases.map(({ build }) => build.id);
  await serveAssets(engine, deployment, builds);
}

/** Copies the assets of an earlier release from its images into the edge again. Skips images that no longer exist. */
async function restoreAssets(
  engine: DockerEngine,
  { edge, services }: Deployment,
  { build, images }: ReleaseRecord,
): Promise<void> {
  const wanted = withoutReplicas(services).filter(({ service }) => Object.keys(service.assets).length > 0);
  const probes: { readonly service: (typeof wanted)[number]; readonly container: string }[] = [];
  try {
    for (const service of wanted) {
      const digest = images[service.service.name]?.digest;
      if (digest !== undefined && (await engine.inspectImage(digest)))
        probes.push({ service, container: await createProbe(engine, digest, []) });
    }
    const copied = probes.map(({ service, container }) => ({ ...service, container }));
    await storeAssets(engine, { edge, services: copied }, build.id);
  } finally {
    await engine.removeTemporary(probes.map(({ container }) => container));
  }
}

/** Whether the edge's volume lacks files of the kept releases. */
export function lacksAssets(
  { services }: Pick<Deployment, "services">,
  { releases }: Pick<DeployRecord, "releases">,
  { kept }: Pick<AfterRelease, "kept">,
): boolean {
  const hasAssets = services.some(({ service }) => Object.keys(service.assets).length > 0);
  return hasAssets && releases.some(({ build }) => !kept.includes(build.id));
}

/** Restores files that the edge's volume has lost, when no release is new. */
export async function restoreEdge(
  engine: DockerEngine,
  { deployment, record, kept }: Pick<AfterRelease, "deployment" | "record" | "kept">,
): Promise<void> {
  try {
    await store(engine, deployment, record.current.build.id);
    await keepAssets(engine, { deployment, record, kept });
    await listKept(engine, { deployment, record });
    await pulumi.log.info("the edge's volume had lost files: written again from the kept releases");
  } catch (cause) {
    await pulumi.log.warn(`not all of the edge's files could be written again: ${(cause as Error).message}`);
  }
}

/** Lists the kept releases in the edge's volume. */
async function listKept(
  engine: DockerEngine,
  { deployment, record }: Pick<AfterRelease, "deployment" | "record">,
): Promise<void> {
  const listed = `${JSON.stringify(listReleases(record), null, 2)}\n`;
  await engine.replaceFile(deployment.edge, RELEASES_FILE, listed);
}

/** Removes what killed deploys have left, then the images that no kept release needs. */
async function removeOld(engine: DockerEngine, after: AfterRelease): Promise<void> {
  const { deployment, last, record, repositories, registry, builder } = after;
  const { releases } = record;
  const tags = releases.map(({ commit }) => shortIdentity(commit));
  const held = releases.flatMap(({ dependencies = {} }) => Object.values(dependencies).map(({ tag }) => tag));
  await sweep(engine, deployment, last, after.volumes);
  const kept = new Map<string, readonly string[]>();
  for (const each of repositories) {
    kept.set(each, tags);
    kept.set(dependencyRepository(each), held);
    if (registry !== undefined) kept.set(`${registry}/${each}`, []);
  }
  for (const each of [engine, ...(builder ? [builder] : [])]) await each.keepTags(kept);
}

/** Starts to wait for the requests to the old containers. */
function drainOld(
  engine: DockerEngine,
  of: Pick<AfterRelease, "deployment" | "last" | "drainSeconds">,
): OldDrain {
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
  { deployment, last, strays = [] }: Pick<AfterRelease, "deployment" | "last" | "strays">,
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

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
