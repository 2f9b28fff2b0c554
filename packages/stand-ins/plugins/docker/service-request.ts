/** Converts a service's inputs to requests to the engine's API. Pure. */

import { isObject, number, objects, type Props, text, textMap, texts, type Value } from "../values";
import { drop, listOf, nanoseconds } from "./container-request";
import { labelMap } from "./network-volume";

/** The body of POST /services/create, and of an update. */
export function serviceRequest(inputs: Props): Props {
  const task = object(inputs.taskSpec);
  const mode = object(inputs.mode);
  const endpoint = object(inputs.endpointSpec);
  return drop({
    Name: text(inputs.name),
    Labels: labelMap(inputs),
    TaskTemplate: drop({
      ContainerSpec: containerSpec(object(task.containerSpec)),
      Resources: drop({
        Limits: resources(object(task.resources).limits),
        Reservations: resources(object(task.resources).reservation),
      }),
      RestartPolicy: restartPolicy(object(task.restartPolicy)),
      Placement: placement(object(task.placement)),
      ForceUpdate: number(task.forceUpdate) ?? 0,
      Runtime: text(task.runtime) ?? "container",
      Networks: objects(task.networksAdvanceds).map(({ id, name, aliases }) => ({
        Target: text(id) || text(name) || "",
        Aliases: texts(aliases),
      })),
      LogDriver: isObject(task.logDriver)
        ? { Name: text(task.logDriver.name) ?? "", Options: textMap(task.logDriver.options) }
        : undefined,
    }),
    Mode:
      mode.global === true
        ? { Global: {} }
        : { Replicated: { Replicas: number(object(mode.replicated).replicas) ?? 1 } },
    UpdateConfig: rolling(inputs.updateConfig),
    RollbackConfig: rolling(inputs.rollbackConfig),
    EndpointSpec: drop({
      Mode: text(endpoint.mode),
      Ports: objects(endpoint.ports).map((port) =>
        drop({
          Name: text(port.name),
          Protocol: text(port.protocol),
          TargetPort: number(port.targetPort),
          PublishedPort: number(port.publishedPort),
          PublishMode: text(port.publishMode),
        }),
      ),
    }),
  });
}

function containerSpec(spec: Props): Props {
  const health = spec.healthcheck;
  return drop({
    Image: text(spec.image),
    Labels: labelMap(spec),
    Command: listOf(spec.commands),
    Args: listOf(spec.args),
    Hostname: text(spec.hostname),
    Env: Object.entries(textMap(spec.env)).map(([name, value]) => `${name}=${value}`),
    Dir: text(spec.dir),
    User: text(spec.user),
    Init: spec.init === true,
    ReadOnly: spec.readOnly === true,
    CapabilityAdd: listOf(spec.capAdds),
    CapabilityDrop: listOf(spec.capDrops),
    StopSignal: text(spec.stopSignal),
    // The official plugin sends no grace period if none is set. The task is then killed at once.
    StopGracePeriod: nanoseconds(spec.stopGracePeriod),
    Healthcheck: isObject(health)
      ? {
          Test: texts(health.tests),
          Interval: nanoseconds(health.interval),
          Timeout: nanoseconds(health.timeout),
          StartPeriod: nanoseconds(health.startPeriod),
          Retries: number(health.retries) ?? 0,
        }
      : undefined,
    // The engine expects an address, a space and the name, as in /etc/hosts.
    Hosts: objects(spec.hosts).map(({ host, ip }) => `${ip} ${host}`),
    DNSConfig: isObject(spec.dnsConfig)
      ? {
          Nameservers: texts(spec.dnsConfig.nameservers),
          Search: texts(spec.dnsConfig.searches),
          Options: texts(spec.dnsConfig.options),
        }
      : undefined,
    Isolation: text(spec.isolation),
    Sysctls: textMap(spec.sysctl),
    Mounts: objects(spec.mounts).map(mount),
    Secrets: objects(spec.secrets).map((secret) => ({
      SecretID: text(secret.secretId) ?? "",
      SecretName: text(secret.secretName) ?? "",
      File: {
        Name: text(secret.fileName) ?? "",
        UID: text(secret.fileUid) ?? "0",
        GID: text(secret.fileGid) ?? "0",
        Mode: number(secret.fileMode) ?? 0o444,
      },
    })),
  });
}

function mount({ type, source, target, readOnly, tmpfsOptions, volumeOptions }: Props): Props {
  return drop({
    Type: text(type),
    Source: text(source),
    Target: text(target),
    ReadOnly: readOnly === true,
    TmpfsOptions: isObject(tmpfsOptions)
      ? drop({ SizeBytes: number(tmpfsOptions.sizeBytes), Mode: number(tmpfsOptions.mode) })
      : undefined,
    VolumeOptions: isObject(volumeOptions)
      ? { NoCopy: volumeOptions.noCopy === true, Labels: labelMap(volumeOptions) }
      : undefined,
  });
}

function resources(value: Value | undefined): Props | undefined {
  if (!isObject(value)) return undefined;
  return drop({ MemoryBytes: number(value.memoryBytes), NanoCPUs: number(value.nanoCpus) });
}

function restartPolicy(policy: Props): Props {
  return drop({
    Condition: text(policy.condition),
    Delay: policy.delay === undefined ? undefined : nanoseconds(policy.delay),
    MaxAttempts: number(policy.maxAttempts),
    Window: policy.window === undefined ? undefined : nanoseconds(policy.window),
  });
}

function placement({ constraints, maxReplicas, prefs }: Props): Props {
  return drop({
    Constraints: listOf(constraints),
    MaxReplicas: number(maxReplicas),
    Preferences: texts(prefs).map((each) => ({ Spread: { SpreadDescriptor: each } })),
  });
}

function rolling(value: Value | undefined): Props | undefined {
  if (!isObject(value)) return undefined;
  return drop({
    Parallelism: number(value.parallelism),
    Delay: nanoseconds(value.delay),
    FailureAction: text(value.failureAction),
    Monitor: nanoseconds(value.monitor),
    MaxFailureRatio: Number(text(value.maxFailureRatio) ?? 0),
    Order: text(value.order),
  });
}

function object(value: Value | undefined): Props {
  return isObject(value) ? value : {};
}
