import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { startEarly } from "../engine/until";
import { workFolder } from "../engine/workFolder";
import { accessoryUrls } from "../freshness/container/products";
import type { Ailing } from "../proof/runtime";
import { baseCommit, shortIdentity } from "../source/checkout";
import { assertForward } from "../source/forward";
import { prepareSource, type Source } from "../source/prepare";
import { ONE_BEFORE, readIntent } from "./intent";
import { attempt, type LastDeploy } from "./lastDeploy";
import { promotedRelease } from "./promotion";
import { provenBuild, type ReusedBuild } from "./provenBuild";
import type { Attempt, ReleaseRecord } from "./record";
import { heldRelease, leftBy, releaseBefore, releaseNamed } from "./releases";
import { buildOf, runSettings } from "./settings";
import { hasContainersOf } from "./stackState";

/** What each deploy decides before it declares a resource. */
interface Decided {
  /** The identity of the commit that will run. */
  readonly commit: string;
  /** The attempt that built the images. */
  readonly build: Attempt;
  /** The attempt that created the containers. */
  readonly run: Attempt;
  /** Whether this release has not run in this stack yet, so that its release commands must run. */
  readonly isNew: boolean;
  /** The commit that a rollback left, as long as the rollback holds. */
  readonly left?: string;
}

/** The images come from the source: built now, or built earlier by this stack with the same settings. */
export interface BuildPlan extends Decided {
  readonly kind: "build";
  readonly source: Source;
  /** Whether images are built now. */
  readonly builds: boolean;
  /** Proven images of a deploy that failed later. They are not rebuilt. */
  readonly reused?: ReusedBuild;
}

/** An existing release runs, for a rollback, a promotion or a restart. Nothing is built. */
export interface ReusePlan extends Decided {
  readonly kind: "reuse";
  readonly release: ReleaseRecord;
  /** The source that selected the release; absent for a rollback. */
  readonly source?: Source;
  readonly builds: false;
  readonly reused?: undefined;
}

export type Plan = BuildPlan | ReusePlan;

/**
 * Decides what is built and what runs. Reads the source, unless this is a rollback.
 * @param last the last deploy, read in parallel with git
 */
export async function planDeploy(config: DeployConfig, last: Promise<LastDeploy>): Promise<Plan> {
  const asks = readIntent();
  const folder = join(workFolder(pulumi.getStack()), "contexts");
  // A commit hash does not identify uncommitted files: only the checkout has them.
  const isPinned = asks.restart !== undefined && !asks.restart.includes("-dirty-");
  const pinned = isPinned ? { ...config, commit: asks.restart ?? config.commit } : config;
  const preparing = startEarly(asks.rollback === undefined ? prepareSource(pinned, folder) : undefined);
  const { record, state } = await last;
  const ran = record && state && !hasContainersOf(state, record.deployment) ? undefined : record?.run;
  const source = await preparing;
  if (source === undefined) {
    const asked = asks.rollback ?? ONE_BEFORE;
    const release =
      asked === ONE_BEFORE ? releaseBefore(record, pulumi.getStack()) : releaseNamed(record, asked);
    return given(config, record, release, { ran });
  }

  const { checkout } = source;
  const held = asks.resume ? undefined : await heldRelease(record, checkout);
  if (held) return { ...given(config, record, held, { ran, restart: asks.restart }), source };
  const current = record?.current;
  if (asks.fromStack !== undefined) {
    const promoted = await promotedRelease(asks.fromStack, config, checkout);
    const { root } = checkout;
    const commit = baseCommit(promoted.commit);
    if (current && !asks.allowOlder) await assertForward({ root, commit }, current);
    return { ...given(config, record, promoted, { ran }), left: undefined };
  }
  if (current && !asks.allowOlder) await assertForward(checkout, current);

  // A failed deploy leaves no record. Its retry is a new attempt, which prunes and rebuilds what is not proven.
  const wanted = attempt(buildOf(config, checkout.identity), asks.rebuild ? undefined : current?.build);
  const isSame = wanted === current?.build;
  const names = config.services.map(({ name }) => name);
  const reused = isSame || asks.rebuild ? undefined : provenBuild(state, wanted.key, names);
  const build = reused?.attempt ?? wanted;
  if (asks.restart !== undefined && !isSame)
    throw new pulumi.RunError(
      `${shortIdentity(asks.restart)} cannot be restarted: the source or the settings have changed since it was deployed; run up first`,
    );
  // This stack never built images that came from another stack.
  if (isSame && current?.from !== undefined)
    return { ...given(config, record, current, { ran, restart: asks.restart }), left: undefined };
  const run = runOf(config, build, asks.restart === undefined ? ran : undefined);
  const isNew = asks.restart === undefined && run.key !== record?.run?.key;
  return {
    kind: "build",
    commit: checkout.identity,
    source,
    build,
    run,
    isNew,
    builds: !isSame && !reused,
    reused,
  };
}

/**
 * The attempt that creates the containers.
 * @param ran the last attempt, if its containers can continue. A restart needs a new attempt. So does a deploy after an
 * attempt that replaced containers and did not finish, because the old containers still have their names
 */
function runOf(config: DeployConfig, build: Attempt, ran: Attempt | undefined): Attempt {
  const { cluster } = config;
  const services = config.services.map(runSettings);
  const urls = accessoryUrls(config.accessories);
  // On a single engine another number of replicas is a new release: an added container answers to the name at once, healthy or not.
  const several = cluster === undefined ? config.services.filter((service) => service.replicas > 1) : [];
  const replicas = Object.fromEntries(several.map((service) => [service.name, service.replicas]));
  const of = [
    build.id,
    services,
    ...(cluster === undefined ? [] : [cluster]),
    ...(Object.keys(replicas).length === 0 ? [] : [replicas]),
    ...(Object.keys(urls).length === 0 ? [] : [urls]),
  ];
  return attempt(of, ran);
}

function given(
  config: DeployConfig,
  record: LastDeploy["record"],
  release: ReleaseRecord,
  { ran, restart }: { readonly ran: Attempt | undefined; readonly restart?: string },
): ReusePlan {
  const { commit, build } = release;
  const run = runOf(config, build, restart === undefined ? ran : undefined);
  // A rollback runs a release that ran here before. Its release commands do not run again.
  const isNew = release.from !== undefined && restart === undefined && run.key !== record?.run?.key;
  return {
    kind: "reuse",
    commit,
    release,
    build,
    run,
    isNew,
    builds: false,
    left: leftBy(record, release),
  };
}

/**
 * Runs the same release in new containers if a container of the serving release does not run as deployed. Rebuilds if
 * one of its images is gone.
 */
export async function healed(plan: Plan, config: DeployConfig, ailing: readonly Ailing[]): Promise<Plan> {
  if (ailing.length === 0) return plan;
  const needsBuild = plan.kind === "build" && ailing.some(({ needsBuild }) => needsBuild);
  for (const { service, wrong } of ailing)
    await pulumi.log.warn(
      `${service} does not run as it was deployed: ${wrong}; its release is ${needsBuild ? "built again" : "started in new containers"}`,
    );
  if (plan.kind === "build" && needsBuild) return rebuilt(plan, config);
  return { ...plan, run: runOf(config, plan.build, undefined), isNew: false };
}

/** Rebuilds the same commit and runs it in new containers. */
export function rebuilt(plan: BuildPlan, config: DeployConfig): BuildPlan {
  const build = attempt(buildOf(config, plan.commit), undefined);
  return {
    ...plan,
    build,
    run: runOf(config, build, undefined),
    isNew: true,
    builds: true,
    reused: undefined,
  };
}

/** Logs what will run, at the start of every deploy. */
export function announce({ kind, commit, reused }: Plan): void {
  const does = kind === "build" ? "Building from" : "Deploying the images of";
  void pulumi.log.info(`${does} commit: ${shortIdentity(commit)}`);
  if (reused)
    void pulumi.log.info(
      "the images of the deploy that failed are used again, for they were built with these settings and proven; --rebuild builds new ones",
    );
}
