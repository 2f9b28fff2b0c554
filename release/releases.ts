import { userInfo } from "node:os";
import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import { pullImage, type Registry } from "../engine/registry";
import { median } from "../freshness/median";
import { commandLine, NAMESPACE } from "../freshness/project";
import { baseCommit, type Checkout, shortIdentity } from "../source/checkout";
import { isWithin } from "../source/git";
import type { DeployRecord, ReleaseRecord } from "./record";

/** The message for a stack without a successful deploy. */
export function notDeployed(stack: string): string {
  return `stack ${stack} has no deployment that succeeded; deploy it with "${commandLine(`up --stack ${stack}`)}"`;
}

/**
 * Returns the release before the running one.
 * @throws RunError if there is none
 */
export function releaseBefore(record: DeployRecord | undefined, stack: string): ReleaseRecord {
  if (record === undefined) throw new pulumi.RunError(notDeployed(stack));
  const { releases, current } = record;
  const before = releases[releases.findIndex(({ commit }) => commit === current.commit) + 1];
  if (before) return before;
  throw new pulumi.RunError(
    `there is no release before ${shortIdentity(current.commit)}; ${NAMESPACE}:keepReleases says how many are kept`,
  );
}

/**
 * Returns the release that a rollback requests.
 * @param asked its commit, in full or its first digits
 * @throws RunError if no release matches, or more than one does
 */
export function releaseNamed(record: DeployRecord | undefined, asked: string): ReleaseRecord {
  const releases = record?.releases ?? [];
  const found = releases.filter(({ commit }) => commit.startsWith(asked));
  const [only, ...others] = found;
  if (only && others.length === 0) return only;
  const all = releases.map(({ commit }) => shortIdentity(commit)).join(", ") || "none";
  throw new pulumi.RunError(
    `${found.length === 0 ? "there is no" : "there is more than one"} release ${asked}; kept are: ${all}`,
  );
}

/**
 * Returns the release that a rollback went to, until a commit newer than the one it left is requested: a plain `up`
 * does not undo a rollback.
 * @returns undefined if the checkout is to be built
 */
export async function heldRelease(
  record: DeployRecord | undefined,
  { root, commit, identity }: Pick<Checkout, "root" | "commit" | "identity">,
): Promise<ReleaseRecord | undefined> {
  if (record?.left === undefined) return undefined;
  const { left, current } = record;
  const isOld = identity === commit && (await isWithin(root, commit, baseCommit(left)));
  if (identity !== left && !isOld) return undefined;
  const [at, from] = [shortIdentity(current.commit), shortIdentity(left)];
  await pulumi.log.warn(
    `held at ${at} since the rollback from ${from}; "${commandLine("up --resume")}" deploys ${shortIdentity(identity)} again, and so does any commit after ${from}`,
  );
  return current;
}

/**
 * Returns the commit that a rollback leaves: the one that ran before the first of several rollbacks. Returns undefined
 * if the rollback goes to that commit.
 */
export function leftBy(record: DeployRecord | undefined, { commit }: ReleaseRecord): string | undefined {
  const left = record?.left ?? record?.current.commit;
  return left === commit ? undefined : left;
}

/**
 * Checks that the images of a release that is not built exist, and pulls missing ones from the registry. Tags images of
 * another stack with this stack's names, so that they are kept.
 * @throws RunError if the release cannot run, because an image is missing or it lacks a service
 */
export async function assertKept(
  engine: DockerEngine,
  { commit, images, from }: ReleaseRecord,
  services: readonly string[],
  tag: (service: string) => string,
  registry?: Registry,
): Promise<void> {
  const sizes = await engine.imageSizes(services.map((name) => images[name]?.digest ?? "none"));
  const gone = services.filter((_, at) => sizes[at] === 0);
  const pulls = gone.flatMap((name) => {
    const { digest, pushed } = images[name] ?? {};
    if (!registry || digest === undefined || !pushed?.startsWith(`${registry.address}/`)) return [];
    return [{ name, digest, pushed, registry }];
  });
  const missing = gone.filter((name) => !pulls.some((pull) => pull.name === name));
  if (missing.length === 0) {
    for (const { name, digest, pushed, registry: of } of pulls)
      await pullImage(engine, of, pushed, { image: tag(name), id: digest });
    if (from !== undefined)
      await Promise.all(
        Object.entries(images)
          .filter(([name]) => services.includes(name))
          .map(([name, { digest }]) => engine.docker(["image", "tag", digest, tag(name)])),
      );
    return;
  }
  if (from !== undefined)
    throw new pulumi.RunError(
      `the engine has no image of ${missing.join(" and ")} of stack ${from}; "${commandLine(`up --from-stack ${from}`)}" brings them`,
    );
  throw new pulumi.RunError(
    `release ${shortIdentity(commit)} has no image of ${missing.join(" and ")} on this engine any more; build it with "WATCH_PARTY_COMMIT=${commit} ${commandLine(`up --stack ${pulumi.getStack()} --allow-older`)}"`,
  );
}

/**
 * Returns the record of a successful deploy.
 * @param now the running release, as recorded if it is new
 * @param keep how many releases to keep, newest first, always with the running one
 */
export function nextRecord(
  last: DeployRecord | undefined,
  {
    run,
    left,
    deployment,
    volumes,
    now,
  }: Pick<DeployRecord, "run" | "left" | "deployment" | "volumes"> & { now: ReleaseRecord },
  keep: number,
): DeployRecord {
  const before = last?.releases ?? [];
  const known = before.find(({ build }) => build.id === now.build.id);
  // Its images may have been pushed to a registry since.
  const current = known ? { ...known, images: now.images } : now;
  // A commit that is rebuilt takes over the tags of its first build. That build can no longer be rolled back to.
  const all = known
    ? before.map((each) => (each === known ? current : each))
    : [now, ...before.filter(({ commit }) => commit !== now.commit)];
  const releases = all.filter((release, at) => at < keep || release === current);
  const rest = volumes === undefined ? {} : { volumes };
  return { run, current, releases, ...(left === undefined ? {} : { left }), deployment, ...rest };
}

/** Returns the recorded durations of a deploy. */
export function timed({
  total = 0,
  ...steps
}: Readonly<Record<string, number>>): Pick<ReleaseRecord, "seconds" | "steps"> {
  return { seconds: total, steps };
}

/**
 * Returns a warning if a deploy took much longer than the earlier ones, with the step that caused it.
 * @returns undefined if it did not, or if fewer than three deploys are recorded
 */
export function slowStep(
  now: Pick<ReleaseRecord, "seconds" | "steps">,
  before: readonly Pick<ReleaseRecord, "seconds" | "steps">[],
): string | undefined {
  const known = before.filter(({ steps }) => steps !== undefined);
  if (known.length < 3) return undefined;
  const usual = median(known.map(({ seconds }) => seconds));
  if (now.seconds < 1.5 * usual || now.seconds < usual + 5) return undefined;
  const excess = Object.entries(now.steps ?? {}).map(([step, seconds]) => {
    const usually = median(known.map(({ steps }) => steps?.[step] ?? 0));
    return { step, seconds, usually, more: seconds - usually };
  });
  const most = excess.sort((a, b) => b.more - a.more)[0];
  if (!most) return undefined;
  const { step, seconds, usually } = most;
  return (
    `this deploy took ${now.seconds.toFixed(1)} s, ${usual.toFixed(1)} s is this stack's median; ` +
    `step ${step} took ${seconds.toFixed(1)} s, usually ${usually.toFixed(1)} s`
  );
}

/** Returns who deploys: the user who started the CI run, else the user of this machine. */
export function deployer(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME"];
  return names.map((name) => env[name]).find((name) => name) ?? userInfo().username;
}

/** A release as `npm run releases` lists it. */
export interface ListedRelease extends Pick<ReleaseRecord, "commit" | "time" | "by" | "seconds"> {
  /** Service → digest. */
  readonly images: Readonly<Record<string, string>>;
  readonly running: boolean;
  readonly rolledBack: boolean;
}

/** The releases that a rollback can choose, newest first, without secrets. */
export function listReleases({ releases, current, left }: DeployRecord): ListedRelease[] {
  return releases.map(({ commit, time, by, seconds, images }) => ({
    commit,
    time,
    by,
    seconds,
    images: Object.fromEntries(Object.entries(images).map(([name, { digest }]) => [name, digest])),
    running: commit === current.commit,
    rolledBack: commit === left,
  }));
}
