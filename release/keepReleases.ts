import * as pulumi from "@pulumi/pulumi";
import { serveAssets, storeAssets } from "../edge/assets";
import type { DockerEngine } from "../engine/docker";
import { RELEASES_FILE } from "../engine/edgeNames";
import { type Deployment, withoutReplicas } from "../proof/deployment";
import { createProbe } from "../proof/imageFiles";
import { runtimeOf } from "../proof/runtime";
import { shortIdentity } from "../source/checkout";
import { dependencyRepository } from "./dependencies";
import type { OldDrain, Replaced } from "./drainOld";
import { sweep } from "./orphans";
import type { DeployRecord, ReleaseRecord } from "./record";
import { listReleases } from "./releases";

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
export interface AfterRelease extends Replaced {
  readonly record: DeployRecord;
  /** The builds whose assets the edge had before the switch. */
  readonly kept: readonly string[];
  /** Volumes that the state did not have when the deploy began. */
  readonly volumes?: readonly string[];
  /** The wait for requests to the old containers, started when the release was served. */
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

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
