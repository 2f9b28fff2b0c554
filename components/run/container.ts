import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import { labelList } from "../../release/labels";
import { DNS_OPTIONS } from "../../release/releaseNames";
import { capabilityName } from "./capabilities";
import { containerOptions, stopTimeouts } from "./options";
import type { ClusterPlace, RunSpec } from "./spec";

/** Runs it on the one engine. Its counterpart for a Swarm is `runService`. @returns the container's id */
export function runContainer(
  name: string,
  spec: RunSpec,
  opts: pulumi.ResourceOptions,
): pulumi.Output<string> {
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
      // The deploy itself waits until it answers: by the engine's own check that is known an interval later.
      wait: false,
      mustRun: !waits,
      ...(waits ? { start: false } : {}),
      // An engine that was killed starts `unless-stopped` containers no more: it takes them for stopped by hand (moby#41302).
      restart: "always",
      securityOpts: ["no-new-privileges:true"],
      capabilities: { drops: ["ALL"], adds: service.capabilities.map(capabilityName) },
      memory: service.memoryMb,
      // Without memorySwap the engine's own value is a difference at every `up`.
      memorySwap: service.memoryMb,
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      readOnly: service.readOnly,
      ...(volumes.length > 0 ? { volumes: [...volumes] } : {}),
      labels: labelList({ ...labels, service: name }),
      init,
      ...containerOptions(service),
    },
    // The plugin asks to delete the old container first; that would leave nothing to serve if the new one fails.
    { ...opts, ...stopTimeouts(service), deleteBeforeReplace: false },
  ).id;
}
/** Whether the old container stops before the new one starts: the deploy itself does both, when all containers are made. */
export function recreates({ strategy }: ServiceConfig, cluster: ClusterPlace | undefined): boolean {
  return strategy === "recreate" && cluster === undefined;
}
