import type { DeployConfig, ServiceConfig } from "../config/types";

/** What a change of a key of a service brings about. */
type Effect =
  /** A new image, and with it new containers. */
  | "build"
  /** New containers of the same image. */
  | "run"
  /** Nothing: the key says how the service is judged, or how many of it run. */
  | "none";

/** The effect of each key. A key that is missing here does not compile, so that none can be forgotten. */
const EFFECTS = {
  name: "run",
  context: "build",
  dockerfile: "build",
  target: "build",
  args: "build",
  port: "run",
  route: "run",
  stripPrefix: "run",
  health: "run",
  healthHeaders: "run",
  version: "run",
  commitFile: "run",
  pages: "run",
  // A token that is renewed makes no other image: what a build does with it, the commit and the arguments tell.
  buildSecrets: "none",
  env: "run",
  secretEnv: "run",
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
  backup: "none",
  startSeconds: "run",
  // Replicas come and go beside those that stay.
  replicas: "none",
} as const satisfies Record<keyof ServiceConfig, Effect>;

type KeysOf<E extends Effect> = {
  [K in keyof typeof EFFECTS]: (typeof EFFECTS)[K] extends E ? K : never;
}[keyof typeof EFFECTS];

/** What a service's image is built with. */
type ServiceBuild = Pick<ServiceConfig, KeysOf<"build">>;

function keysOf(effect: Effect): (keyof ServiceConfig)[] {
  return (Object.keys(EFFECTS) as (keyof ServiceConfig)[]).filter((key) => EFFECTS[key] === effect);
}

const BUILD_KEYS = keysOf("build");
const NO_EFFECT = new Set(keysOf("none"));

/** What a configuration makes of a commit. Two equal ones make the same images. */
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
  // Without filtered files the key has no effect: the records of earlier versions stay what they are.
  return filters === "refuse" ? all : { ...all, filters };
}

/** What the containers of a service are made of, and the image; two equal ones need no new container. */
export function runSettings(service: ServiceConfig): Partial<ServiceConfig> {
  const keys = (Object.keys(service) as (keyof ServiceConfig)[]).filter(
    (key) => key !== "strategy" && !NO_EFFECT.has(key),
  );
  const settings = pick(service, keys);
  return service.strategy === "recreate" ? { ...settings, strategy: service.strategy } : settings;
}

/** The keys in their order, without those that have no value: what is hashed must not change its form. */
function pick(service: ServiceConfig, keys: readonly (keyof ServiceConfig)[]): Partial<ServiceConfig> {
  return Object.fromEntries(
    keys.filter((key) => service[key] !== undefined).map((key) => [key, service[key]]),
  );
}

/** All that makes a build: where one of these changes, images are built anew. */
export interface BuildSettings extends Pick<DeployConfig, "platform" | "rebuild"> {
  /** The commit, or `<sha>-dirty-<tree>`. */
  readonly commit: string;
  /** What was done with files that git's filters change; absent where they are refused. */
  readonly filters?: DeployConfig["filters"];
  readonly services: Readonly<Record<string, ServiceBuild>>;
}
