/** Converts a container's inputs to requests to the engine's API. Pure. */

import { isObject, number, objects, type Props, text, textMap, texts, type Value } from "../values";
import { labelMap } from "./network-volume";

const MiB = 1024 * 1024;

/** The body of POST /containers/create. */
export function createRequest(inputs: Props): Props {
  if (texts(inputs.command).includes("")) throw new Error("values for command may not be empty");
  return drop({
    Image: text(inputs.image),
    Env: listOf(inputs.envs),
    Cmd: listOf(inputs.command),
    Entrypoint: listOf(inputs.entrypoints),
    Hostname: text(inputs.hostname),
    Domainname: text(inputs.domainname),
    User: text(inputs.user),
    WorkingDir: text(inputs.workingDir),
    Tty: inputs.tty === true,
    OpenStdin: inputs.stdinOpen === true,
    StopSignal: text(inputs.stopSignal),
    StopTimeout: number(inputs.stopTimeout),
    Labels: labelMap(inputs),
    ExposedPorts: Object.fromEntries(objects(inputs.ports).map((port) => [portKey(port), {}])),
    Volumes: Object.fromEntries(volumesOf(inputs, "anonymous").map((path) => [path, {}])),
    Healthcheck: healthcheck(inputs.healthcheck),
    HostConfig: hostConfig(inputs),
  });
}

/** The body of POST /containers/ID/update, with what can be changed on a running container. */
export function updateRequest(inputs: Props): Props {
  return drop({
    RestartPolicy: { Name: text(inputs.restart) ?? "", MaximumRetryCount: number(inputs.maxRetryCount) ?? 0 },
    CpuShares: number(inputs.cpuShares) ?? 0,
    CpusetCpus: text(inputs.cpuSet) ?? "",
    NanoCpus: nanoCpus(inputs.cpus),
    Memory: megabytes(inputs.memory) ?? 0,
    MemorySwap: megabytes(inputs.memorySwap),
  });
}

/** The networks to connect to before the start, with the settings for each. */
export function endpoints(inputs: Props): { network: string; settings: Props }[] {
  return objects(inputs.networksAdvanced).map((network) => ({
    network: String(network.name),
    settings: {
      Aliases: texts(network.aliases),
      IPAMConfig: drop({ IPv4Address: text(network.ipv4Address), IPv6Address: text(network.ipv6Address) }),
    },
  }));
}

/** Converts a Go duration to nanoseconds: `1m30s`, `500ms`. */
export function nanoseconds(duration: Value | undefined): number {
  const units: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
  const source = text(duration) ?? "0s";
  const parts = [...source.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (source !== "0" && parts.map(([part]) => part).join("") !== source) {
    throw new Error(
      `healthcheck: found ${JSON.stringify(source)}, should be a duration such as "10s" or "1m30s"`,
    );
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0), 0);
}

function hostConfig(inputs: Props): Props {
  return drop({
    NetworkMode: text(inputs.networkMode),
    RestartPolicy: {
      Name: text(inputs.restart) ?? "no",
      MaximumRetryCount: number(inputs.maxRetryCount) ?? 0,
    },
    Init: typeof inputs.init === "boolean" ? inputs.init : undefined,
    Privileged: inputs.privileged === true,
    PublishAllPorts: inputs.publishAllPorts === true,
    ReadonlyRootfs: inputs.readOnly === true,
    LogConfig: { Type: text(inputs.logDriver) ?? "", Config: textMap(inputs.logOpts) },
    Binds: volumesOf(inputs, "bound"),
    VolumesFrom: volumesOf(inputs, "from"),
    Mounts: objects(inputs.mounts).map(mount),
    Tmpfs: textMap(inputs.tmpfs),
    PortBindings: portBindings(inputs),
    CapAdd: capabilities(inputs, "adds"),
    CapDrop: capabilities(inputs, "drops"),
    SecurityOpt: texts(inputs.securityOpts),
    ExtraHosts: objects(inputs.hosts).map(({ host, ip }) => `${host}:${ip}`),
    Dns: texts(inputs.dns),
    DnsOptions: texts(inputs.dnsOpts),
    DnsSearch: texts(inputs.dnsSearches),
    GroupAdd: texts(inputs.groupAdds),
    Sysctls: textMap(inputs.sysctls),
    Ulimits: objects(inputs.ulimits).map(({ name, soft, hard }) =>
      drop({ Name: text(name), Soft: number(soft), Hard: number(hard) }),
    ),
    Memory: megabytes(inputs.memory),
    MemoryReservation: megabytes(inputs.memoryReservation),
    MemorySwap: megabytes(inputs.memorySwap),
    NanoCpus: nanoCpus(inputs.cpus),
    CpuShares: number(inputs.cpuShares),
    CpusetCpus: text(inputs.cpuSet),
    ShmSize: megabytes(inputs.shmSize),
    IpcMode: text(inputs.ipcMode),
    PidMode: text(inputs.pidMode),
    UsernsMode: text(inputs.usernsMode),
    Runtime: text(inputs.runtime),
  });
}

function healthcheck(value: Value | undefined): Props | undefined {
  if (!isObject(value)) return undefined;
  return drop({
    Test: texts(value.tests),
    Interval: nanoseconds(value.interval),
    Timeout: nanoseconds(value.timeout),
    StartPeriod: nanoseconds(value.startPeriod),
    StartInterval: nanoseconds(value.startInterval) || undefined,
    Retries: number(value.retries) ?? 0,
  });
}

function mount(spec: Props): Props {
  const { bindOptions, tmpfsOptions, volumeOptions } = spec;
  return drop({
    Type: text(spec.type),
    Source: text(spec.source),
    Target: text(spec.target),
    ReadOnly: spec.readOnly === true,
    BindOptions: isObject(bindOptions) ? drop({ Propagation: text(bindOptions.propagation) }) : undefined,
    TmpfsOptions: isObject(tmpfsOptions)
      ? drop({ SizeBytes: number(tmpfsOptions.sizeBytes), Mode: number(tmpfsOptions.mode) })
      : undefined,
    VolumeOptions: isObject(volumeOptions) ? drop({ NoCopy: volumeOptions.noCopy === true }) : undefined,
  });
}

function volumesOf(inputs: Props, kind: "anonymous" | "bound" | "from"): string[] {
  const mode = (volume: Props): string => (volume.readOnly === true ? "ro" : "rw");
  return objects(inputs.volumes).flatMap((volume) => {
    const from = text(volume.fromContainer);
    const source = text(volume.volumeName) || text(volume.hostPath);
    const path = text(volume.containerPath) ?? "";
    if (from) return kind === "from" ? [`${from}:${mode(volume)}`] : [];
    if (source) return kind === "bound" ? [`${source}:${path}:${mode(volume)}`] : [];
    return kind === "anonymous" ? [path] : [];
  });
}

function portKey(port: Props): string {
  return `${port.internal}/${text(port.protocol) ?? "tcp"}`;
}

function portBindings(inputs: Props): Props {
  const bindings: { [key: string]: Props[] } = {};
  for (const port of objects(inputs.ports)) {
    const key = portKey(port);
    bindings[key] ??= [];
    bindings[key].push({
      HostIp: text(port.ip) ?? "0.0.0.0",
      HostPort: port.external ? String(port.external) : "",
    });
  }
  return bindings;
}

/** A list, or undefined if it is empty. */
export function listOf(value: Value | undefined): Value | undefined {
  return Array.isArray(value) && value.length > 0 ? value : undefined;
}

/** Converts megabytes to bytes. Keeps -1, which means no limit. */
function megabytes(value: Value | undefined): number | undefined {
  const amount = number(value);
  return amount === undefined || amount <= 0 ? amount : amount * MiB;
}

function nanoCpus(value: Value | undefined): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const cpus = Number(value);
  if (!Number.isFinite(cpus))
    throw new Error(`cpus: found ${JSON.stringify(value)}, should be a number such as "1.5"`);
  return Math.round(cpus * 1e9);
}

/** The object without undefined values. */
export function drop(object: { [key: string]: Value | undefined }): Props {
  return Object.fromEntries(
    Object.entries(object).filter((entry): entry is [string, Value] => entry[1] !== undefined),
  );
}

/** Capabilities as Docker's own client sends them: with CAP_, sorted. */
function capabilities({ capabilities: of }: Props, part: "adds" | "drops"): string[] {
  const named = texts(isObject(of) ? of[part] : undefined).map((each) => each.toUpperCase());
  return [
    ...new Set(named.map((each) => (each === "ALL" || each.startsWith("CAP_") ? each : `CAP_${each}`))),
  ].sort();
}
