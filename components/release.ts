import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config";
import { waitingCaddyfile } from "../engine/caddy";
import type { DockerEngine } from "../engine/docker";
import { type DeployedService, proveContainers, proveServed } from "../engine/prove";
import { edgeState, leadEdge, readEdge } from "../engine/switch";
import { assertUnbroken, type Verdict } from "../freshness/chain";

export interface ReleaseArgs {
  readonly engine: DockerEngine;
  readonly config: DeployConfig;
  readonly commit: string;
  /** Names the release; the edge's file holds it. */
  readonly id: pulumi.Input<string>;
  readonly edge: pulumi.Input<string>;
  readonly services: pulumi.Input<pulumi.Input<DeployedService>[]>;
}

/** Names a release in host names: its images and all that its containers are made of go into the name. */
export function releaseId(commit: string, attemptId: string, digests: readonly string[]): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([attemptId, digests]))
    .digest("hex");
  return `${commit.slice(0, 7)}-${hash.slice(0, 8)}`;
}

/**
 * Leads the edge to a release and proves it; what was served before stays where a proof fails.
 *
 * It is no resource but runs at every `up`, also one that changes nothing, so that a failed one is simply run again.
 * The old containers are still there: Pulumi removes them when all has succeeded.
 *
 * @returns the verdicts; rejected with the first broken link, which fails the `up`
 */
export function release(args: ReleaseArgs): pulumi.Output<readonly Verdict[]> {
  return pulumi.all([args.id, args.edge, args.services]).apply(async ([id, edge, services]) => {
    try {
      return await switchAndProve(args, id, edge, services as readonly DeployedService[]);
    } catch (cause) {
      throw new pulumi.RunError((cause as Error).message);
    }
  });
}

async function switchAndProve(
  { engine, config, commit }: ReleaseArgs,
  id: string,
  edge: string,
  deployed: readonly DeployedService[],
): Promise<readonly Verdict[]> {
  const services = deployed.map(({ service }) => service);
  const containers = await proveContainers(engine, edge, deployed, commit);
  assertUnbroken(containers);

  const before = await readEdge(engine, edge);
  const after = edgeState(services, config.domain, id);
  const switches = before?.release !== after.release || before.caddyfile !== after.caddyfile;
  try {
    if (switches) await leadEdge(engine, edge, before, after);
    const served = await proveServed(config.publicUrl, services, commit);
    assertUnbroken(served);
    return [...containers, ...served];
  } catch (cause) {
    if (switches) await leadEdge(engine, edge, after, before ?? { caddyfile: waitingCaddyfile() });
    throw cause;
  }
}
