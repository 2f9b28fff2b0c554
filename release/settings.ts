import type { DeployConfig, ServiceConfig } from "../config/types";

/** The effect of a change to a service's key. */
type Effect =
  /** Builds a new image and creates new containers. */
  | "build"
  /** Creates new containers from the same image. */
  | "run"
  /** No effect on containers: the key only affects checks, or (`replicas`) the plan decides. */
  | "none";

/** The effect of each key. A missing key is a compile error. */
const EFFECTS = {
  name: "run",
  context: "build",
  dockerfile: "build",
  target: "build",
  args: "build",
  port: "run",
  route: "run",
  stripPrefix: "run",
  hosts: "run",
  health: "run",
  healthHeaders: "run",
  version: "run",
  commitFile: "run",
  pages: "run",
  // A renewed token does not change the image. The commit and the build arguments determine what the build does with
  // it.
  buildSecrets: "none",
  env: "run",
  secretEnv: "run",
  // Its values are in secretEnv.
  envFile: "none",
  image: "run",
  command: "run",
  entrypoint: "run",
  init: "run",
  stopSeconds: "run",
  stopSignal: "run",
  user: "run",
  tmpfs: "run",
  shmMb: "run",
  extraHosts: "run",
  cpus: "run",
  pidsLimit: "run",
  memoryMb: "run",
  capabilities: "run",
  readOnly: "run",
  volumes: "run",
  volumesFrom: "run",
  strategy: "run",
  sharedVolume: "none",
  unsavedFiles: "none",
  caches: "run",
  assets: "run",
  strictAssets: "none",
  releaseCommand: "run",
  dependencyStage: "run",
  schedule: "run",
  timeZone: "run",
  backup: "none",
  startSeconds: "run",
  // Replicas are added or removed. The others continue.
  replicas: "none",
} as const satisfies Record<keyof ServiceConfig, Effect>;

type KeysOf<E extends Effect> = {
  [K in keyof typeof EFFECTS]: (typeof EFFECTS)[K] extends E ? K : never;
}[keyof typeof EFFECTS];

/** The settings that a service's image is built with. */
type ServiceBuild = Pick<ServiceConfig, KeysOf<"build">>;

function keysOf(effect: Effect): (keyof ServiceConfig)[] {
  return (Object.keys(EFFECTS) as (keyof ServiceConfig)[]).filter((key) => EFFECTS[key] === effect);
}

const BUILD_KEYS = keysOf("build");
const NO_EFFECT = new Set(keysOf("none"));

/** The settings that affect the images of a commit. Equal settings produce the same images. */
export function buildOf(
  { platform, rebuild, filters, services }: DeployConfig,
  commit: string,
): BuildSettings {
  const own = services.filter(({ image }) => image === undefined);
  const all = {
    commit,
    platform,
    rebuild,
    services: Object.fromEntries(own.map((service) => [service.name, pick(service, BUILD_KEYS)])),
  } as BuildSettings;
  // Without filtered files the key has no effect. Omitting it keeps records of earlier versions valid.
  return filters === "refuse" ? all : { ...all, filters };
}

/** The settings of a service's containers, including its image. Equal settings need no new container. */
export function runSettings(service: ServiceConfig): Partial<ServiceConfig> {
  const keys = (Object.keys(service) as (keyof ServiceConfig)[]).filter(
    (key) => key !== "strategy" && !NO_EFFECT.has(key),
  );
  const settings = pick(service, keys);
  return service.strategy === "recreate" ? { ...settings, strategy: service.strategy } : settings;
}

/** Returns the keys in the given order, without those that have no value, so that the hash is stable. */
function pick(service: ServiceConfig, keys: readonly (keyof ServiceConfig)[]): Partial<ServiceConfig> {
  return Object.fromEntries(
    keys.filter((key) => service[key] !== undefined).map((key) => [key, service[key]]),
  );
}

/** All settings of a build. A change to any of them rebuilds the images. */
export interface BuildSettings extends Pick<DeployConfig, "platform" | "rebuild"> {
  /** The commit, or `<sha>-dirty-<tree>`. */
  readonly commit: string;
  /** How files that git's filters change were handled; absent if they are refused. */
  readonly filters?: DeployConfig["filters"];
  readonly services: Readonly<Record<string, ServiceBuild>>;
}
