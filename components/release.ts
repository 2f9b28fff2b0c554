import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import type { Deployment } from "../engine/prove";
import { switchAndProve } from "../engine/switch";
import type { Verdict } from "../freshness/chain";

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
 * @returns the verdicts; rejected with the first broken link, which fails the `up`
 */
export function release(
  engine: DockerEngine,
  deployment: pulumi.Output<Deployment>,
  domain: string | undefined,
): pulumi.Output<readonly Verdict[]> {
  return deployment.apply(async (of) => {
    try {
      return await switchAndProve(engine, of, domain);
    } catch (cause) {
      throw new pulumi.RunError((cause as Error).message);
    }
  });
}

/**
 * Removes what no release needs any more: the stages' images, which are proven, and the images of releases that are not kept.
 *
 * @param repositories the names of the services' images
 * @param tags the tags of the releases that are kept
 */
export async function cleanUp(
  engine: DockerEngine,
  repositories: readonly string[],
  tags: readonly string[],
): Promise<void> {
  try {
    await Promise.all(repositories.map((repository) => engine.keepTags(repository, tags)));
  } catch (cause) {
    // The release is served and proven: what was left lying is no reason to fail it.
    await pulumi.log.warn(`old images were not removed: ${(cause as Error).message}`);
  }
}
