import { PROOF_KEY_HEADER } from "../freshness/served/asking";
import { isAddress, withHost } from "../freshness/served/places";
import type { Deployment } from "./deployment";
import { reachBy } from "./http";

/**
 * Prepares this process to request all names of a site: names that only the edge knows are asked at the public address, and
 * the program's requests pass the edge's basic authentication.
 */
export function reachSites({ url, otherNames = [], proofKey, services }: Deployment): void {
  const { host, hostname } = new URL(url);
  const headers = proofKey === undefined ? undefined : { [PROOF_KEY_HEADER]: proofKey };
  const via = isAddress(url) ? hostname.replace(/^\[|\]$/g, "") : undefined;
  // Such a name means this machine, as browsers know; not every resolver does.
  const reach = (name: string) => (name.endsWith(".localhost") ? (via ?? "127.0.0.1") : via);
  reachBy(host, { via: isAddress(url) ? undefined : reach(hostname), headers });
  const names = [...otherNames, ...services.flatMap(({ service }) => service.hosts ?? [])];
  for (const name of names) reachBy(new URL(withHost(url, name)).host, { via: reach(name), headers });
}
