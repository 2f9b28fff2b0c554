import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { serveAssets, storeAssets } from "../edge/assets";
import type { Site } from "../edge/caddy";
import { type Draining, drain } from "../edge/drain";
import { ledRelease, type Switching, switchAndProve } from "../edge/switch";
import type { DockerEngine } from "../engine/docker";
import { RELEASES_FILE } from "../engine/edgeNames";
import { isBroken, type Verdict } from "../freshness/chain";
import type { Deployment } from "../proof/deployment";
import { followersAddresses } from "../proof/followers";
import { createProbe } from "../proof/imageFiles";
import { proveAnswers } from "../proof/prove";
import { runtimeOf } from "../proof/runtime";
import { shortIdentity } from "../source/checkout";
import { dependencyRepository } from "./dependencies";
import { fail } from "./failure";
import { sweep } from "./orphans";
import type { DeployRecord, ReleaseRecord } from "./record";
import { type Recreation, recreate } from "./recreate";
import { listReleases } from "./releases";
import { idsOf, readStrays, stopStrays } from "./strays";

/** Names a release in host names: its images and all that its containers are made of go into the name. */
export function releaseId(commit: string, attemptId: string, digests: readonly string[]): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([attemptId, digests]))
    .digest("hex");
  return `${commit.slice(0, 7)}-${hash.slice(0, 8)}`;
}

/**
 * Leads the edge to a deployment and proves it; what was served before stays where a proof fails.
 *
 * It is no resource but runs at every `up`, also one that changes nothing, so that a failed one is simply run again.
 * The old containers are still there: Pulumi removes them when all has succeeded.
 *
 * @returns the verdicts; the first broken link fails the `up`, and what is refused stops
 */
export function release(
  engine: DockerEngine,
  deployment: pulumi.Output<Deployment>,
  site: Site,
  { last, commands, pauses, drainSeconds, refused, ...switching }: Releasing,
): pulumi.Output<Released> {
  return pulumi.all([deployment, commands]).apply(async ([of, commands]) => {
    let draining: OldDrain | undefined;
    try {
      const before = new Map(Object.entries(commands));
      const recreation =
        pauses ?? (await recreate(engine, pulumi.getStack(), { deployment: of, last }, before));
      // What was asked ahead was asked of containers that did not run.
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
      if (await stopRefused(engine, { last, edge: of.edge })) refused?.();
      return fail(cause as Error);
    }
  });
}

/**
 * Starts again what was stopped for a release that is refused, and waits until it answers.
 *
 * @returns what is to be said where it does not; empty where it does
 */
async function takeBack(
  engine: DockerEngine,
  recreation: Recreation,
  last: Deployment | undefined,
): Promise<string> {
  try {
    await recreation.takeBack();
    const services = last?.services.filter(({ container }) => recreation.old.includes(container)) ?? [];
    const answers = last && services.length > 0 ? await proveAnswers(engine, { ...last, services }) : [];
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
  /** What waits for the requests to the old containers; absent where nothing was switched. */
  readonly draining?: OldDrain;
}

/** How far the wait for requests to the old containers has come. */
interface OldDrain {
  /** All who are served come to new containers in this moment: what is done beside that, they would feel. */
  readonly calm: Promise<unknown>;
  /** Pulumi stops the old containers next: the last requests are waited for, whatever else fails. */
  readonly over: Promise<unknown>;
}

/** What goes with a release. */
export interface Releasing extends Switching, Pick<AfterRelease, "last" | "drainSeconds"> {
  /** On a Swarm: what has stopped already. */
  readonly pauses?: Recreation;
  /** Service → its release command, where that waits until the old container has stopped. */
  readonly commands: pulumi.Output<Readonly<Record<string, () => Promise<void>>>>;
  /** Is called once a release is refused and nothing of it runs. */
  readonly refused?: () => void;
}

/**
 * Stops what runs of this stack and is of no release that serves: of what was refused nothing works on. It is not removed: its
 * log tells what was wrong, and the next deploy replaces it.
 *
 * @returns whether nothing of it runs any more
 */
export async function stopRefused(
  engine: DockerEngine,
  { last, edge, deployment }: { last?: Deployment; edge: string; deployment?: Deployment },
): Promise<boolean> {
  try {
    const isSwarm = [last, deployment].some((of) => of?.cluster !== undefined);
    const known = idsOf([last, deployment]);
    const readLed = () => ledRelease(engine, edge);
    const strays = await readStrays(engine, pulumi.getStack(), { known, readLed, isSwarm });
    if (strays.length === 0) return true;
    await stopStrays(engine, strays);
    await pulumi.log.info(
      `stopped, for it is of no release that serves: ${strays.map(({ name }) => name).join(", ")}`,
    );
    return true;
  } catch (cause) {
    await pulumi.log.warn(`what was refused may still run: ${(cause as Error).message}`);
    return false;
  }
}

/** Copies a new release's assets into the edge while its containers start; what served before is not touched by it. */
export async function store(engine: DockerEngine, deployment: Deployment, build: string): Promise<void> {
  try {
    await runtimeOf(deployment).withFiles(engine, deployment.services, (services) =>
      storeAssets(engine, { ...deployment, services }, build),
    );
  } catch (cause) {
    // The release itself needs none of them: pages of it that stay open after the next one do.
    await pulumi.log.warn(`not all was put away: ${(cause as Error).message}`);
  }
}

/** What is to be done once a release is served and proven. */
export interface AfterRelease {
  readonly deployment: Deployment;
  /** The one before. */
  readonly last?: Deployment;
  readonly record: DeployRecord;
  /** The builds whose assets the edge had before the switch. */
  readonly kept: readonly string[];
  /** Containers that run without being in the state, which go after the switch. */
  readonly strays?: readonly string[];
  /** Volumes that the state did not have when the deploy began. */
  readonly volumes?: readonly string[];
  /** How long requests to the containers that go are waited for. */
  readonly drainSeconds: number;
  /** That wait, begun when the release was served. */
  readonly draining?: OldDrain;
  /** The engine that built, where that is another one: it keeps what the other keeps. */
  readonly builder?: DockerEngine;
  /** What was begun of it when the containers were there. */
  readonly clearing?: Promise<void>;
  /** The names of the services' images. */
  readonly repositories: readonly string[];
  /** The address of the registry that they are pushed to, under names that hold it for as long as that takes. */
  readonly registry?: string;
  /** Bytes that were free before the build, where one was made and that can be seen. */
  readonly freeBefore?: number;
}

/** How long nothing but requests is waited for after a switch. */
const CALM_SECONDS = 1;

/**
 * Keeps what the kept releases need, on the engine's machine: their images, their assets, and a list of them in the edge's
 * volume. What no release needs any more is removed: other images, and the stages', which are proven.
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
    // The release is served and proven: what was left lying is no reason to fail it.
    await pulumi.log.warn(`not all was put away: ${(cause as Error).message}`);
  }
  if (freeBefore === undefined) return;
  // An engine that does not answer now has what it needs, and the release is proven.
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

/** Lets the edge serve the assets of the kept releases and no others. */
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

/** Copies the assets of an earlier release into the edge again, from its images; those that are gone have none to give. */
async function restoreAssets(
  engine: DockerEngine,
  { edge, services }: Deployment,
  { build, images }: ReleaseRecord,
): Promise<void> {
  const wanted = services.filter(({ service }) => Object.keys(service.assets).length > 0);
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

/** Whether the edge's volume lacks what it keeps for the kept releases. */
export function lacksAssets(
  { services }: Pick<Deployment, "services">,
  { releases }: Pick<DeployRecord, "releases">,
  { kept }: Pick<AfterRelease, "kept">,
): boolean {
  const hasAssets = services.some(({ service }) => Object.keys(service.assets).length > 0);
  return hasAssets && releases.some(({ build }) => !kept.includes(build.id));
}

/** Puts back what the edge's volume has lost, where no release is new. */
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

/** Removes what killed deploys have left, and then the images that no kept release needs. */
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

/** Begins to wait for the requests to the containers that go. */
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
  // Where the release is taken back meanwhile, neither is waited for.
  for (const each of [calm, over]) each.catch(ignoreTakenBack);
  return { calm, over };
}

function ignoreTakenBack(): void {}

/** Where the old containers and the edges are whose connections are waited for; undefined where no containers go. */
async function connectionsToOld(
  engine: DockerEngine,
  { deployment, last, strays = [] }: Pick<AfterRelease, "deployment" | "last" | "strays">,
): Promise<Omit<Draining, "seconds"> | undefined> {
  const { edge, services, id: release, cluster } = deployment;
  const now = services.map(({ container }) => container);
  const old = (last?.services ?? []).filter(({ container }) => !now.includes(container));
  if (old.length + strays.length === 0) return undefined;
  // Followers that go next, for there are to be none any more, lead to this release as well until they do.
  const led = { ...deployment, followers: deployment.followers ?? last?.followers };
  const [addresses, unknown, followers] = await Promise.all([
    last === undefined ? [] : runtimeOf(last).addresses(engine, old),
    engine.inspectContainers(strays),
    cluster === undefined ? [] : followersAddresses(engine, led),
  ]);
  const others = unknown.flatMap(({ networks }) => networks.map(({ address }) => address));
  return { edge, addresses: [...addresses, ...others], followers, release };
}

/** Waits for the rest of the time that requests have. */
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
