import { isDeepStrictEqual } from "node:util";
import type { DeployConfig, ServiceConfig } from "../config/types";
import { hashOf } from "../freshness/hash";
import { namesOf } from "../freshness/served/places";
import type { Deployment } from "../proof/deployment";
import { ROUTE_KEYS, type Site } from "./caddy";
import { EDGE_KEYS, proofKey } from "./siteKeys";

/** The part of the configuration that the edge's own is made of. */
export function siteOf(config: DeployConfig): Site {
  const keys = EDGE_KEYS.map((key) => [key, config[key]]);
  const isBehind = config.behind !== undefined;
  return {
    ...Object.fromEntries(keys),
    // A front has the certificates, and is the only one that connects.
    domain: isBehind ? undefined : config.domain,
    tls: isBehind ? undefined : config.tls,
    trustedProxies: isBehind ? ["private_ranges"] : config.trustedProxies,
    isBehind,
    memoryMb: config.edgeMemoryMb,
    publicUrl: config.publicUrl,
  };
}

/** The part of a deployment that follows from the edge's keys. Keys without a value are left out. */
export function deployedSite(
  config: DeployConfig,
): Pick<Deployment, "otherNames" | "proofKey" | "edgeKeys" | "behind"> {
  const { behind, domains = [], redirects = [], basicAuth = {}, freshnessKey, publicUrl } = config;
  const names = [...domains, ...redirects.flatMap(({ host }) => host ?? [])];
  const otherNames = [...new Set(names)].filter((name) => name !== new URL(publicUrl).hostname);
  const hashes = hashesOf(config);
  const key = proofKey(basicAuth, freshnessKey);
  return {
    ...(otherNames.length > 0 ? { otherNames } : {}),
    ...(key === undefined ? {} : { proofKey: key }),
    ...(behind === undefined ? {} : { behind }),
    ...(Object.keys(hashes).length > 0 ? { edgeKeys: hashes } : {}),
  };
}

/** The names at which the stack answers, and which its edge has in the network of its front. */
export function namesBehind(config: DeployConfig): string[] {
  const hosts = config.services.flatMap((service) => service.hosts ?? []);
  return namesOf({ url: config.publicUrl, ...deployedSite(config) }, hosts);
}

/** Names the keys for which a running edge loads another configuration. @param last the deployment that it serves */
export function changedEdgeKeys(config: DeployConfig, last: Deployment | undefined): string[] {
  if (last === undefined) return [];
  const { edgeKeys: before = {} } = last;
  const now = hashesOf(config);
  const keys: string[] = EDGE_KEYS.filter((key) => before[key] !== now[key]);
  const routes = (services: readonly Partial<ServiceConfig>[]) =>
    services.map((service) => ROUTE_KEYS.map((key) => service[key] ?? null));
  const isRouted = isDeepStrictEqual(
    routes(config.services),
    routes(last.services.map(({ service }) => service)),
  );
  return isRouted ? keys : [...keys, "routes"];
}

function hashesOf(config: DeployConfig): Record<string, string> {
  const set = EDGE_KEYS.filter((key) => config[key] !== undefined && config[key] !== false);
  return Object.fromEntries(set.map((key) => [key, hashOf(config[key]).slice(0, 12)]));
}
