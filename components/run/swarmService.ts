import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import type { DockerEngine } from "../../engine/docker";
import type { Registry } from "../../engine/registry";
import { readOwnNode } from "../../engine/swarm";
import { labelList } from "../../release/labels";
import { DNS_OPTIONS } from "../../release/releaseNames";
import { capabilityName } from "./capabilities";
import { swarmSeconds } from "./durations";
import { STOP_SECONDS, serviceOptions, stopTimeouts } from "./options";
import type { ClusterPlace, RunSpec } from "./spec";

/** How long nodes may take to pull an image, in addition to the service's start time. */
const PULL_SECONDS = 60;

/** A sysctl that every engine sets anyway. Without one, the plugin shows a difference at the next `up`. */
export const USUAL_SYSCTL = { "net.ipv4.ip_unprivileged_port_start": "0" };

/** Exports Swarm secrets as the variables that the app has on a single engine. */
const WITH_SECRETS =
  'for each in /run/secrets/*; do value=$(cat "$each"; printf .); export "${each##*/}=${value%.}"; done; exec "$@"';

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
  const { service, envs, aliases, search, healthcheck, volumes, labels } = spec;
  const options = serviceOptions(service);
  const { networkId, reference, engine, registry } = cluster;
  const image = pulumi.all([spec.image, reference]).apply(([, pulled]) => pulled);
  const secret = (variable: string) => variable in service.secretEnv;
  const env = envs.apply((lines) =>
    Object.fromEntries(
      lines
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const)
        .filter(([variable]) => !secret(variable)),
    ),
  );
  const secrets = Object.entries(service.secretEnv).map(([variable, value]) => {
    const data = pulumi.secret(Buffer.from(value).toString("base64"));
    const resource = spec.secretNames[variable] ?? `${name}.${variable}`;
    const held = { data, labels: labelList({ ...labels, service: name }) };
    const made = new docker.Secret(resource, held, { ...opts, deleteBeforeReplace: false });
    return { secretId: made.id, secretName: made.name, fileName: variable };
  });
  // That command starts the image's own program or the service's.
  const startsWith =
    secrets.length === 0 ? {} : { commands: withSecrets(engine, spec.image, service), args: [] };
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
          env,
          init: spec.init,
          ...options.container,
          ...startsWith,
          dnsConfig: { nameservers: [], searches: search, options: DNS_OPTIONS },
          ...(secrets.length > 0 ? { secrets } : {}),
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
        // A volume exists only on the node where it was created.
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

/**
 * Stops a service's tasks before the plugin removes the service. The plugin waits for the containers only as long as
 * they may take to stop. An app that uses all of that time fails the `up`, each later `up` and `destroy`. This is a
 * resource because Pulumi first removes what depends on the service, even if the program does not run.
 */
function stopBeforeRemoval(
  service: Pick<ServiceConfig, "name" | "stopSeconds">,
  made: docker.Service,
  { server, commands }: ClusterPlace,
  { parent }: pulumi.ResourceOptions,
): void {
  const name = `${service.name}-stop`;
  const args = { delete: made.id.apply((id) => stopCommand(id, service.stopSeconds)), triggers: [made.id] };
  const opts = { parent, provider: commands, dependsOn: made, deleteBeforeReplace: false };
  if (server) new command.remote.Command(name, { ...args, connection: server.connection }, opts);
  else new command.local.Command(name, args, opts);
}

/** Stops the tasks of a service and waits until their containers are gone. A missing service is not a failure. */
export function stopCommand(id: string, stopSeconds = STOP_SECONDS): string {
  const tasks = `docker service ps --quiet ${id} 2> /dev/null`;
  const tries = 2 * (stopSeconds + 20);
  return [
    `docker service inspect ${id} > /dev/null 2>&1 || exit 0`,
    `docker service update --detach --quiet --replicas 0 ${id} > /dev/null || exit 1`,
    `tries=${tries}`,
    `while [ -n "$(${tasks})" ] && [ $tries -gt 0 ]; do sleep 0.5; tries=$((tries - 1)); done`,
  ].join("\n");
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

/** Starts the image's own program, or the service's command, with the secrets as its environment. */
function withSecrets(
  engine: DockerEngine | undefined,
  image: pulumi.Input<string>,
  own: Pick<ServiceConfig, "entrypoint" | "command">,
): pulumi.Output<string[]> {
  return pulumi.output(image).apply(async (id) => {
    const format = "[{{json .Config.Entrypoint}},{{json .Config.Cmd}}]";
    const said = await engine?.docker(["image", "inspect", "--format", format, id]);
    const [entrypoint, command] = JSON.parse(said ?? "[null,null]");
    const started = own.entrypoint
      ? [...own.entrypoint, ...(own.command ?? [])]
      : [...(entrypoint ?? []), ...(own.command ?? command ?? [])];
    return ["/bin/sh", "-c", WITH_SECRETS, "sh", ...started];
  });
}
