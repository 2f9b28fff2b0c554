/** Converts the engine's description of a container to the outputs of the resource. Pure. */

import { isObject, objects, type Props, texts } from "../values";
import { plannedState } from "./container-fields";

/** The parts of GET /containers/ID/json that are used. */
export interface ContainerInspect {
  Id: string;
  Name: string;
  Image: string;
  Platform?: string;
  State: { Running: boolean; ExitCode: number; Health?: { Status: string } };
  Config: {
    Hostname: string;
    Domainname: string;
    User: string;
    Cmd: string[] | null;
    Entrypoint: string[] | null;
    WorkingDir: string;
    StopSignal?: string;
    StopTimeout?: number;
  };
  HostConfig: {
    AutoRemove: boolean;
    CapAdd: string[] | null;
    CapDrop: string[] | null;
    CpuShares: number;
    CpusetCpus: string;
    Init?: boolean | null;
    IpcMode: string;
    LogConfig: { Type: string };
    Memory: number;
    MemorySwap: number;
    Privileged: boolean;
    PublishAllPorts: boolean;
    RestartPolicy: { Name: string; MaximumRetryCount: number };
    Runtime: string;
    ShmSize: number;
    UsernsMode: string;
  };
  NetworkSettings: {
    Bridge: string;
    Networks: Record<
      string,
      {
        Gateway: string;
        GlobalIPv6Address: string;
        GlobalIPv6PrefixLen: number;
        IPAddress: string;
        IPPrefixLen: number;
        IPv6Gateway: string;
        MacAddress: string;
      }
    >;
    Ports: Record<string, { HostIp: string; HostPort: string }[] | null> | null;
  };
}

const MiB = 1024 * 1024;

/** The outputs after a container was created. */
export function createdState(news: Props, found: ContainerInspect): Props {
  const state = { ...plannedState(news), ...observed(found), ports: withChosenPorts(news, found) };
  return found.State.Running ? state : { ...state, ...ended(news, found) };
}

/** The state of a container that is not running. With `mustRun`, the next `up` shows a difference. */
function ended({ mustRun }: Props, { State }: ContainerInspect): Props {
  return { ...(mustRun === false ? {} : { mustRun: false }), exitCode: State.ExitCode };
}

/** The outputs of an existing container. `mustRun` and `exitCode` record that it is not running. */
export function refreshedState(properties: Props, found: ContainerInspect): Props {
  const { CapAdd, CapDrop } = found.HostConfig;
  const refreshed: Props = {
    ...properties,
    ...observed(found),
    // As the engine writes them, with the CAP_ prefix.
    ...(CapAdd || CapDrop ? { capabilities: capabilities(properties, CapAdd ?? [], CapDrop ?? []) } : {}),
    // A container that does not run publishes no ports.
    ...(objects(properties.ports).length > 0 ? { ports: publishedPorts(properties, found) } : {}),
    mustRun: properties.mustRun !== false && found.State.Running,
  };
  delete refreshed.exitCode;
  return found.State.Running ? refreshed : { ...refreshed, exitCode: found.State.ExitCode };
}

/** Properties that may change while the container lives. A refresh must read them. */
export const drifting = [
  "capabilities",
  "cpuSet",
  "cpuShares",
  "maxRetryCount",
  "memory",
  "memorySwap",
  "mustRun",
  "name",
  "ports",
  "restart",
];

function observed({ Id, Name, Platform, Config, HostConfig, NetworkSettings }: ContainerInspect): Props {
  return {
    bridge: NetworkSettings.Bridge,
    command: Config.Cmd ?? [],
    cpuSet: HostConfig.CpusetCpus,
    cpuShares: HostConfig.CpuShares,
    domainname: Config.Domainname,
    entrypoints: Config.Entrypoint ?? [],
    hostname: Config.Hostname,
    id: Id,
    init: HostConfig.Init ?? false,
    ipcMode: HostConfig.IpcMode,
    logDriver: HostConfig.LogConfig.Type,
    maxRetryCount: HostConfig.RestartPolicy.MaximumRetryCount,
    memory: HostConfig.Memory / MiB,
    memorySwap: HostConfig.MemorySwap > 0 ? HostConfig.MemorySwap / MiB : HostConfig.MemorySwap,
    name: Name.replace(/^\//, ""),
    networkDatas: Object.entries(NetworkSettings.Networks).map(([networkName, network]) => ({
      gateway: network.Gateway,
      globalIpv6Address: network.GlobalIPv6Address,
      globalIpv6PrefixLength: network.GlobalIPv6PrefixLen,
      ipAddress: network.IPAddress,
      ipPrefixLength: network.IPPrefixLen,
      ipv6Gateway: network.IPv6Gateway,
      macAddress: network.MacAddress,
      networkName,
    })),
    platform: Platform ?? "linux",
    privileged: HostConfig.Privileged,
    publishAllPorts: HostConfig.PublishAllPorts,
    restart: HostConfig.RestartPolicy.Name === "" ? "no" : HostConfig.RestartPolicy.Name,
    rm: HostConfig.AutoRemove,
    runtime: HostConfig.Runtime,
    shmSize: HostConfig.ShmSize / MiB,
    stopSignal: Config.StopSignal ?? "",
    stopTimeout: Config.StopTimeout ?? 0,
    user: Config.User,
    usernsMode: HostConfig.UsernsMode,
    workingDir: Config.WorkingDir,
  };
}

/** The requested ports, with the host port that the engine chose if none was set. */
function withChosenPorts(news: Props, { NetworkSettings }: ContainerInspect): Props[] {
  return objects(plannedState(news).ports).map((port) => {
    if (!isObject(port) || port.external) return port;
    const bound = NetworkSettings.Ports?.[`${port.internal}/${port.protocol}`]?.[0];
    return bound === undefined ? port : { ...port, external: Number(bound.HostPort) };
  });
}

/** The ports in the state that the engine publishes now. */
function publishedPorts({ ports }: Props, { State, NetworkSettings }: ContainerInspect): Props[] {
  if (!State.Running) return [];
  return objects(ports).filter(
    ({ internal, protocol }) => NetworkSettings.Ports?.[`${internal}/${protocol ?? "tcp"}`] != null,
  );
}

/** Capabilities in the state's order if they are the same, because they are sets. */
function capabilities({ capabilities: known }: Props, adds: string[], drops: string[]): Props {
  const before = isObject(known) ? known : {};
  const kept = (key: string, found: string[]) =>
    `${[...texts(before[key])].sort()}` === `${[...found].sort()}` ? texts(before[key]) : found;
  return { adds: kept("adds", adds), drops: kept("drops", drops) };
}
