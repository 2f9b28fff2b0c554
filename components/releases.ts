import { userInfo } from "node:os";
import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import type { Verdict, Versions } from "../freshness/chain";
import { type Checkout, shortIdentity } from "../source/checkout";
import { isWithin } from "../source/git";
import type { Attempt, DeployRecord, ImageRecord } from "./lastDeploy";

/** A release that was deployed and proven: what it takes to run it again without a build. */
export interface ReleaseRecord {
  readonly commit: string;
  readonly build: Attempt;
  /** Service → its image. */
  readonly images: Readonly<Record<string, ImageRecord>>;
  /** What was proven of its source: the links `commit`, `dockerfile` and `cache`. */
  readonly source: readonly Verdict[];
  /** What its images were built with. */
  readonly versions: Versions;
  /** When it was proven first, ISO 8601. */
  readonly time: string;
  /** Who deployed it. */
  readonly by: string;
  /** How long that took. */
  readonly seconds: number;
}

/**
 * The release that a rollback asks for.
 *
 * @param asked its commit, in full or its first digits
 * @throws RunError where there is none, or more than one
 */
export function releaseNamed(record: DeployRecord | undefined, asked: string): ReleaseRecord {
  const releases = record?.releases ?? [];
  const found = releases.filter(({ commit }) => commit.startsWith(asked));
  if (found.length === 1) return found[0]!;
  const all = releases.map(({ commit }) => shortIdentity(commit)).join(", ") || "none";
  throw new pulumi.RunError(
    `${found.length === 0 ? "there is no" : "there is more than one"} release ${asked}; kept are: ${all}`,
  );
}

/**
 * The release that a rollback went to, for as long as nothing newer than the one it left is asked for: a plain `up` does
 * not bring back what was taken back.
 *
 * @returns undefined where the checkout is to be built
 */
export async function heldRelease(
  record: DeployRecord | undefined,
  { root, commit, identity }: Pick<Checkout, "root" | "commit" | "identity">,
): Promise<ReleaseRecord | undefined> {
  if (record?.left === undefined) return undefined;
  const { left, current } = record;
  const isOld = identity === commit && (await isWithin(root, commit, left.replace(/-.*/, "")));
  if (identity !== left && !isOld) return undefined;
  const [at, from] = [shortIdentity(current.commit), shortIdentity(left)];
  await pulumi.log.warn(
    `held at ${at} since the rollback from ${from}; "npm run up -- --resume" deploys ${shortIdentity(identity)} again, and so does any commit after ${from}`,
  );
  return current;
}

/** What a release that is gone back to leaves: what ran before the first of several rollbacks; nothing where that itself is gone back to. */
export function leftBy(record: DeployRecord | undefined, { commit }: ReleaseRecord): string | undefined {
  const left = record?.left ?? record?.current.commit;
  return left === commit ? undefined : left;
}

/** @throws RunError where a release cannot run any more, for an image of it is gone or it lacks a service */
export async function assertKept(
  engine: DockerEngine,
  { commit, images }: ReleaseRecord,
  services: readonly string[],
): Promise<void> {
  const sizes = await engine.imageSizes(services.map((name) => images[name]?.digest ?? "none"));
  const missing = services.filter((_, at) => sizes[at] === 0);
  if (missing.length === 0) return;
  throw new pulumi.RunError(
    `release ${shortIdentity(commit)} has no image of ${missing.join(" and ")} on this engine any more; build it: set watch-party:commit to ${commit} and deploy`,
  );
}

/**
 * What is to be remembered of a deploy that succeeded.
 *
 * @param keep how many releases are kept, newest first; the one that runs is always among them
 */
export function nextRecord(
  last: DeployRecord | undefined,
  now: Pick<DeployRecord, "run" | "current" | "left" | "deployment">,
  keep: number,
): DeployRecord {
  const { current, left } = now;
  const before = last?.releases ?? [];
  // A commit that is built again has the tags of its first build, which cannot be gone back to any more.
  const all = before.some(({ build }) => build.id === current.build.id)
    ? before
    : [current, ...before.filter(({ commit }) => commit !== current.commit)];
  const releases = all.filter((release, at) => at < keep || release.commit === current.commit);
  return { ...now, ...(left === undefined ? {} : { left }), releases };
}

/** Who deploys: the one who set CI to work, else the user of this machine. */
export function deployer(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME"];
  return names.map((name) => env[name]).find((name) => name) ?? userInfo().username;
}
