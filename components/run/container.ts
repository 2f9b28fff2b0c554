import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import { replicaName } from "../../engine/edgeNames";
import { labelList } from "../../release/labels";
import { DNS_OPTIONS, hostName } from "../../release/releaseNames";
import { capabilityName } from "./capabilities";
import { containerOptions, stopTimeouts } from "./options";
import type { ClusterPlace, RunSpec } from "./spec";

/**
 * Runs a service's replicas as containers on a single engine. `runService` does the same on a Swarm.
 * @returns the containers' IDs
 */
export function runReplicas(
  name: string,
  spec: RunSpec,
  release: pulumi.Input<string>,
  opts: pulumi.ResourceOptions,
): pulumi.Output<string>[] {
  const { replicas } = spec.service;
  if (replicas === 1) return [runContainer(name, spec, opts)];
  return Array.from({ length: replicas }, (_, at) => {
    const own = replicaName(name, at + 1);
    // The shared names lead to any replica; the edge balances over names of their own.
    const aliases = pulumi
      .all([spec.aliases, release])
      .apply(([shared, id]) => [...shared, hostName(own, id)]);
    return runContainer(at === 0 ? name : own, { ...spec, aliases }, opts);
  });
}

/** @returns the container's ID */
function runContainer(name: string, spec: RunSpec, opts: pulumi.ResourceOptions): pulumi.Output<string> {
  const { service, init, image, envs, aliases, search, network, healthcheck, volumes, labels } = spec;
  const waits = recreates(service, spec.cluster);
  return new docker.Container(
    name,
    {
      image,
      envs,
      networksAdvanced: [{ name: network, aliases }],
      dnsSearches: search,
      dnsOpts: DNS_OPTIONS,
      healthcheck: healthcheck as pulumi.Output<docker.types.output.ContainerHealthcheck>,
      // The deploy waits until the service answers. The engine's health check would report that one interval later.
      wait: false,
      mustRun: !waits,
      ...(waits ? { start: false } : {}),
      // A killed engine does not start `unless-stopped` containers again: it treats them as stopped by hand
      // (moby#41302).
      restart: "always",
      securityOpts: ["no-new-privileges:true"],
      capabilities: { drops: ["ALL"], adds: service.capabilities.map(capabilityName) },
      memory: service.memoryMb,
      // Without memorySwap, the engine's own value shows as a difference at every `up`.
      memorySwap: service.memoryMb,
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      readOnly: service.readOnly,
      ...(volumes.length > 0 ? { volumes: [...volumes] } : {}),
      labels: labelList({ ...labels, service: service.name }),
      init,
      ...containerOptions(service),
      ...(spec.command && { command: spec.command }),
    },
    // The plugin requests deleting the old container first. If the new one failed, nothing would serve then.
    { ...opts, ...stopTimeouts(service), deleteBeforeReplace: false },
  ).id;
}
/** Whether the old container stops before the new one starts. The deploy does both, once all containers exist. */
export function recreates({ strategy }: ServiceConfig, cluster: ClusterPlace | undefined): boolean {
  return strategy === "recreate" && cluster === undefined;
}
