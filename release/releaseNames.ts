import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";

/** The domain of a release within the network: `backend.DOMAIN` is its service backend and nothing else. */
export function releaseDomain(release: string): string {
  return `${release}.internal`;
}

/** What lets containers find each other by plain name within their release. */
export interface NameSearch {
  /** The engine's machine's own search domains, which stay behind the release's. */
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

/** A name without a dot is looked up in the search domains first: asked as it is, it would go to servers outside. */
export const DNS_OPTIONS = ["ndots:1"];

/** Reads the search domains that containers have from the engine's machine, in the edge. */
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
