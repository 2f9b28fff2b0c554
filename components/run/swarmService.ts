import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../../engine/docker";
import type { Registry } from "../../engine/registry";
import { readOwnNode } from "../../engine/swarm";
import { labelList } from "../../release/labels";
import { DNS_OPTIONS } from "../../release/releaseNames";
import { capabilityName } from "./capabilities";
import { swarmSeconds } from "./durations";
import { serviceOptions, stopTimeouts } from "./options";
import type { ClusterPlace, RunSpec } from "./spec";
import { environmentOf } from "./swarmEnvironment";
import { stopBeforeRemoval } from "./swarmStop";

/** How long nodes may take to pull an image, in addition to the service's start time. */
const PULL_SECONDS = 60;

/** A sysctl that every engine sets anyway. Without one, the plugin shows a difference at the next `up`. */
export const USUAL_SYSCTL = { "net.ipv4.ip_unprivileged_port_start": "0" };

/**
 * Runs a service of a release as a Swarm service. A new release is a new Swarm service beside the old one, like
 * containers on a single engine. A change without a release, such as the number of replicas, is a rolling update.
 * @returns the service's ID
 */
export function runService(
  name: string,
  spec: RunSpec,
  cluster: ClusterPlace,
  opts: pulumi.ResourceOptions,
): pulumi.Output<string> {
  const { service, aliases, search, healthcheck, volumes, labels } = spec;
  const options = serviceOptions(service);
  const { networkId, reference, engine, registry } = cluster;
  const image = pulumi.all([spec.image, reference]).apply(([, pulled]) => pulled);
  const environment = environmentOf(name, spec, engine, opts);
  const order = service.strategy === "recreate" ? "stop-first" : "start-first";
  const rolling = { parallelism: 1, delay: "0s", maxFailureRatio: "0.0", order };
  // Longer than a task takes to be reported unhealthy. With less, the update would always succeed.
  const monitor = swarmSeconds(service.startSeconds + 3 * (2 + 4));
  const auth = loginFor(registry);
  const made = new docker.Service(
    name,
    {
      ...(auth === undefined ? {} : { auth }),
      mode: { replicated: { replicas: service.replicas } },
      // A virtual IP needs ip_vs, which some kernels lack. DNS returns each task's own address instead.
      endpointSpec: { mode: "dnsrr" },
      taskSpec: {
        containerSpec: {
          image,
          init: spec.init,
          ...options.container,
          ...environment,
          dnsConfig: { nameservers: [], searches: search, options: DNS_OPTIONS },
          healthcheck:
            healthcheck as pulumi.Output<docker.types.output.ServiceTaskSpecContainerSpecHealthcheck>,
          capDrops: ["ALL"],
          capAdds: service.capabilities.map(capabilityName),
          readOnly: service.readOnly,
          mounts: [
            ...volumes.map(({ volumeName: source, containerPath: target }) => ({
              type: "volume",
              source,
              target,
            })),
            ...options.mounts,
          ],
          sysctl: USUAL_SYSCTL,
        },
        resources: { limits: { memoryBytes: service.memoryMb * 1024 ** 2, ...options.limits } },
        // The engine fills in the window. Without it, every `up` shows a difference.
        restartPolicy: { condition: "any", delay: "1s", window: "0s" },
        networksAdvanceds: [{ id: networkId, aliases }],
        logDriver: { name: "json-file", options: { "max-size": "10m", "max-file": "3" } },
        // A volume exists only on the node that created it.
        ...(volumes.length > 0 ? { placement: { constraints: [ownNode(engine)] } } : {}),
      },
      updateConfig: { ...rolling, monitor, failureAction: "rollback" },
      rollbackConfig: { ...rolling, monitor, failureAction: "pause" },
      convergeConfig: { delay: "1s", timeout: swarmSeconds(service.startSeconds + PULL_SECONDS) },
      labels: labelList({ ...labels, service: name }),
    },
    { ...opts, ...stopTimeouts(service), deleteBeforeReplace: false },
  );
  stopBeforeRemoval(service, made, cluster, opts);
  return made.id;
}

/** The login that nodes pull with. */
export function loginFor(registry: Registry | undefined) {
  return (
    registry && {
      serverAddress: registry.address.replace(/\/.*/, ""),
      username: registry.user,
      password: pulumi.secret(registry.password),
    }
  );
}

/** The constraint that keeps tasks on the manager of this engine. */
function ownNode(engine: DockerEngine | undefined): pulumi.Output<string> {
  return pulumi.output(engine && readOwnNode(engine)).apply((id) => `node.id==${id ?? "unknown"}`);
}
