import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import { hashOf } from "../freshness/hash";

/**
 * Returns a release's ID for host names. It depends on the images and on everything that its containers are made of.
 */
export function releaseId(commit: string, attemptId: string, digests: readonly string[]): string {
  return `${commit.slice(0, 7)}-${hashOf([attemptId, digests]).slice(0, 8)}`;
}

/** The domain of a release within the network: `backend.DOMAIN` always means its own service backend. */
export function releaseDomain(release: string): string {
  return `${release}.internal`;
}

/** Search domains that let containers reach each other by plain name within their release. */
export interface NameSearch {
  /** The search domains of the engine's machine. They follow the release's own. */
  readonly hostDomains: pulumi.Input<readonly string[]>;
}

/** The search domains of a release's containers, the release's own first. */
export function searchDomains(
  release: pulumi.Input<string>,
  { hostDomains }: NameSearch,
): pulumi.Output<string[]> {
  return pulumi
    .all([pulumi.output(release), pulumi.output(hostDomains)])
    .apply(([id, domains]) => [releaseDomain(id), ...domains]);
}

/** A name without a dot is looked up in the search domains first. Otherwise the query would go to external servers. */
export const DNS_OPTIONS = ["ndots:1"];

/** Reads, inside the edge, the search domains that containers inherit from the engine's machine. */
export async function readHostDomains(engine: DockerEngine, edge: string): Promise<string[]> {
  const text = await engine.docker(["exec", edge, "cat", "/etc/resolv.conf"]);
  const line = text.split("\n").findLast((each) => /^\s*(search|domain)\s/.test(each)) ?? "";
  return line
    .trim()
    .split(/\s+/)
    .slice(1)
    .filter((domain) => domain !== ".");
}
/** The host name of a service of one release, within the network. */
export function hostName(service: string, release: string): string {
  return `${service}-${release}`;
}
