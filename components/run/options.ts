import type * as docker from "@pulumi/docker";
import type { ServiceConfig } from "../../config/types";
import { swarmSeconds } from "./durations";

/** The service-specific options of a container. */
type RunOptions = Pick<
  ServiceConfig,
  | "command"
  | "entrypoint"
  | "stopSeconds"
  | "stopSignal"
  | "user"
  | "tmpfs"
  | "shmMb"
  | "extraHosts"
  | "cpus"
  | "readOnly"
  | "volumes"
>;

/** Default of `stopSeconds`: how long a container may take to stop. */
export const STOP_SECONDS = 10;
const MIB = 1024 ** 2;

/** World-writable, as a tmpfs on a single engine. The plugin does not read back a sticky bit. */
const SHARED = 0o777;

/** The folders in memory: the configured ones, and /tmp if the container could not write there otherwise. */
function memoryFolders({ tmpfs = [], readOnly, volumes }: RunOptions): string[] {
  const named = tmpfs.map((path) => path.replace(/(.)\/+$/, "$1"));
  const isTaken = [...named, ...Object.values(volumes)].some((path) => path.replace(/\/+$/, "") === "/tmp");
  return [...new Set(readOnly && !isTaken ? [...named, "/tmp"] : named)];
}

/** The inputs of a container on a single engine. */
export function containerOptions(service: RunOptions): Partial<docker.ContainerArgs> {
  const { command, entrypoint, stopSeconds = STOP_SECONDS, stopSignal, user } = service;
  const { shmMb, extraHosts, cpus } = service;
  const folders = memoryFolders(service);
  return {
    destroyGraceSeconds: stopSeconds,
    stopTimeout: stopSeconds,
    ...(command && { command: [...command] }),
    ...(entrypoint && { entrypoints: [...entrypoint] }),
    ...(stopSignal && { stopSignal }),
    ...(user && { user }),
    ...(folders.length > 0 && { tmpfs: Object.fromEntries(folders.map((path) => [path, ""])) }),
    ...(shmMb && { shmSize: shmMb }),
    ...(extraHosts && { hosts: Object.entries(extraHosts).map(([host, ip]) => ({ host, ip })) }),
    ...(cpus && { cpus: String(cpus) }),
  };
}

/** Pulumi's timeouts for `stopSeconds`. By default Pulumi waits twenty minutes for a resource to be removed. */
export function stopTimeouts({ stopSeconds = STOP_SECONDS }: RunOptions) {
  return stopSeconds <= 600 ? {} : { customTimeouts: { delete: `${stopSeconds + 600}s` } };
}

/** The inputs of a Swarm service: those of its containers, and its limits. */
export function serviceOptions(service: RunOptions) {
  const { command, entrypoint, stopSeconds = STOP_SECONDS, stopSignal, user } = service;
  const { shmMb, extraHosts, cpus } = service;
  const memory = memoryFolders(service).map((target) => ({ type: "tmpfs", target }));
  const shm = shmMb && {
    type: "tmpfs",
    target: "/dev/shm",
    tmpfsOptions: { sizeBytes: shmMb * MIB, mode: SHARED },
  };
  return {
    container: {
      stopGracePeriod: swarmSeconds(stopSeconds),
      ...(entrypoint && { commands: [...entrypoint] }),
      ...(command && { args: [...command] }),
      ...(stopSignal && { stopSignal }),
      ...(user && { user }),
      ...(extraHosts && { hosts: Object.entries(extraHosts).map(([host, ip]) => ({ host, ip })) }),
    },
    mounts: [...memory, ...(shm ? [shm] : [])],
    limits: cpus ? { nanoCpus: Math.round(cpus * 1e9) } : {},
  };
}
