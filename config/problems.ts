import { isDeepStrictEqual } from "node:util";
import type * as z from "zod";
import type { PluginOrigin } from "../freshness/chain";
import { BACKUP_KINDS, type BackupKind, kindOf } from "../freshness/container/backupCommands";
import { EDGE_SERVICE } from "../freshness/labels";
import { commandLine } from "../freshness/project";
import { accessorySchema } from "./accessorySchema";
import { edgeKeys } from "./edgeKeys";
import { registrySchema, schema, serverSchema } from "./schema";
import { serviceSchema } from "./serviceSchema";
import { SECRET } from "./text";
import type { AccessoryConfig, BackupConfig, DeployConfig, ServiceConfig } from "./types";
import { NAMESPACE } from "./types";

export function describe(issue: z.core.$ZodIssue): string[] {
  const key = `${NAMESPACE}:${issue.path.join(".")}`;
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((name) => {
      const at = [...issue.path, name].join(".");
      const parts: Readonly<Record<PropertyKey, { readonly shape: object }>> = {
        services: serviceSchema,
        accessories: accessorySchema,
        server: serverSchema,
        registry: registrySchema,
      };
      const known = parts[issue.path[0] ?? ""] ?? schema;
      return `${NAMESPACE}:${at} is not a key; allowed: ${Object.keys(known.shape).join(", ")}`;
    });
  if (issue.code === "invalid_key")
    return [`${key} is not a valid name; ${issue.issues[0]?.message ?? issue.message}`];
  if (issue.input === undefined) return [`${key} is missing; ${issue.message}`];
  const value = SECRET.test(issue.path.join(".")) ? "[secret]" : JSON.stringify(issue.input);
  return [`${key} is ${value}; ${issue.message}`];
}

export function serviceProblems(service: ServiceConfig): string[] {
  const key = `${NAMESPACE}:services.${service.name}`;
  const problems = backupProblems(key, service.backup, undefined);
  if (service.name === EDGE_SERVICE)
    problems.push(`${key} is the name of the edge; allowed: a name of its own`);
  if (service.route !== undefined && service.port === undefined)
    problems.push(
      `${key}.port is missing; allowed: a whole number from 1 to 65535, because the service has a route`,
    );
  if ("GIT_COMMIT_HASH" in service.args)
    problems.push(`${key}.args.GIT_COMMIT_HASH is set; allowed: any other name, the deploy sets this one`);
  if ("BUILDKIT_INLINE_CACHE" in service.args)
    problems.push(
      `${key}.args.BUILDKIT_INLINE_CACHE is set; allowed: any other name, an inline cache lets a build reuse old layers`,
    );
  for (const name of Object.keys(service.secretEnv))
    if (name in service.env)
      problems.push(`${key}.env.${name} is set in secretEnv too; allowed: one of them`);
  problems.push(...folderProblems(key, service.volumes));
  for (const [volume, from] of Object.entries(service.volumesFrom ?? {}))
    if (!(volume in service.volumes))
      problems.push(`${key}.volumesFrom.${volume} is "${from}"; allowed: a name in ${key}.volumes`);
  return problems;
}

export function accessoryProblems(
  { name, image, volumes, env, secretEnv, backup }: AccessoryConfig,
  { services, accessories, cluster }: Pick<DeployConfig, "services" | "accessories" | "cluster">,
): string[] {
  const key = `${NAMESPACE}:accessories.${name}`;
  const problems = backupProblems(key, backup, kindOf({ image, env }));
  if (name === EDGE_SERVICE || services.some((service) => service.name === name))
    problems.push(
      `${key} is the name of ${name === EDGE_SERVICE ? "the edge" : "a service"}; allowed: a name of its own`,
    );
  if (cluster !== undefined) problems.push(`${key} is set; allowed: without ${NAMESPACE}:cluster alone`);
  for (const variable of Object.keys(secretEnv))
    if (variable in env)
      problems.push(`${key}.env.${variable} is set in secretEnv too; allowed: one of them`);
  problems.push(...folderProblems(key, volumes));
  for (const volume of Object.keys(volumes)) {
    const other = [...services, ...accessories].find(
      (each) => each.name !== name && (volume in each.volumes || usesVolume(each, volume)),
    );
    if (other)
      problems.push(
        `${key}.volumes.${volume} is used by ${other.name} too; allowed: a volume of its own, for two servers would spoil it`,
      );
  }
  return problems;
}

/** Where volumes cannot be mounted. */
function folderProblems(key: string, volumes: Readonly<Record<string, string>>): string[] {
  const folder = (path: string) => path.replace(/\/+$/, "");
  return Object.entries(volumes).flatMap(([volume, path], at, all) => {
    const twin = all.slice(0, at).find(([, other]) => folder(other) === folder(path));
    if (folder(path) === "") return [`${key}.volumes.${volume} is "${path}"; allowed: a folder below it`];
    if (twin === undefined) return [];
    return [`${key}.volumes.${volume} is "${path}", the folder of ${twin[0]}; allowed: a folder of its own`];
  });
}

function usesVolume(service: ServiceConfig | AccessoryConfig, volume: string): boolean {
  return "volumesFrom" in service && Object.values(service.volumesFrom ?? {}).includes(volume);
}

/** What a backup lacks to be taken. @param known the kind, where the configuration does not name it */
function backupProblems(
  key: string,
  backup: BackupConfig | undefined,
  known: BackupKind | undefined,
): string[] {
  if (backup === undefined) return [];
  const { kind, file, command, restore } = backup;
  if (kind === "sqlite" && file === undefined)
    return [`${key}.backup.file is missing; allowed: the path of the SQLite file in the container`];
  if ((command === undefined) !== (restore === undefined))
    return [
      `${key}.backup.${command === undefined ? "command" : "restore"} is missing; allowed: both command and restore, or neither`,
    ];
  if (command !== undefined || kind !== undefined || known !== undefined) return [];
  return [`${key}.backup.kind is missing; allowed: ${BACKUP_KINDS.join(", ")}, or command and restore`];
}

/** Build options. */
const BUILD_KEYS = [
  "context",
  "dockerfile",
  "target",
  "args",
  "buildSecrets",
  "commitFile",
  "dependencyStage",
] as const;
export function imageProblems(
  services: Readonly<Record<string, Partial<Omit<ServiceConfig, "secretEnv">>>>,
): string[] {
  return Object.entries(services).flatMap(([name, { image, ...service }]) => {
    if (image === undefined) return [];
    const key = `${NAMESPACE}:services.${name}`;
    const owners = Object.keys(services).filter((each) => services[each]?.image === undefined);
    const allowed = owners.join(", ") || "a service with a build of its own";
    if (services[image] === undefined)
      return [`${key}.image is "${image}", which is not a service; allowed: ${allowed}`];
    if (services[image].image !== undefined)
      return [
        `${key}.image is "${image}", which ${image === name ? "is the service itself" : "runs another service's image"}; allowed: ${allowed}`,
      ];
    const isSet = (build: (typeof BUILD_KEYS)[number]) => {
      const value = service[build];
      const standard = { dockerfile: "Dockerfile", commitFile: "/app/COMMIT" }[build as string];
      return value !== undefined && value !== standard && (build !== "args" || Object.keys(value).length > 0);
    };
    return BUILD_KEYS.filter(isSet).map(
      (build) =>
        `${key}.${build} is set; allowed: only without ${key}.image, because the service runs the image of ${image}`,
    );
  });
}

export function runProblems(service: ServiceConfig, cluster: DeployConfig["cluster"]): string[] {
  const key = `${NAMESPACE}:services.${service.name}`;
  const problems: string[] = [];
  const { route, stripPrefix, tmpfs = [], volumes, extraHosts = {}, pidsLimit } = service;
  if (service.hosts !== undefined && route === undefined)
    problems.push(`${key}.hosts is set; allowed: with a route`);
  if (stripPrefix && (route === undefined || route === "/"))
    problems.push(`${key}.stripPrefix is true; allowed: with a route other than "/"`);
  const mounted = Object.values(volumes).map((path) => path.replace(/\/+$/, ""));
  for (const path of tmpfs) {
    const at = path.replace(/\/+$/, "");
    if (at === "") problems.push(`${key}.tmpfs has "${path}"; allowed: a folder below it`);
    else if (mounted.includes(at))
      problems.push(`${key}.tmpfs has "${path}", which a volume uses too; allowed: one of them`);
  }
  if (cluster === undefined) return problems;
  if (pidsLimit !== undefined)
    problems.push(`${key}.pidsLimit is ${pidsLimit}; allowed: only without ${NAMESPACE}:cluster`);
  for (const [host, address] of Object.entries(extraHosts))
    if (address === "host-gateway")
      problems.push(`${key}.extraHosts.${host} is "host-gateway"; allowed: an IP address, on a cluster`);
  return problems;
}

/** What a service with a schedule cannot have. */
export function scheduleProblems(
  { name, schedule, timeZone, port, replicas, image, command }: ServiceConfig,
  cluster: DeployConfig["cluster"],
): string[] {
  const key = `${NAMESPACE}:services.${name}`;
  if (schedule === undefined)
    return timeZone === undefined ? [] : [`${key}.timeZone is "${timeZone}"; allowed: with ${key}.schedule`];
  const of = `${key}.schedule is "${schedule}"; allowed:`;
  return [
    ...(port === undefined
      ? []
      : [`${of} only without a port and a route, because its container waits for the time`]),
    ...(replicas === 1 ? [] : [`${of} only with one replica, because one job runs at a time`]),
    ...(image === undefined || command !== undefined
      ? []
      : [`${of} with ${key}.command, because the image of ${image} would start ${image} again`]),
    ...(cluster === undefined ? [] : [`${of} only without ${NAMESPACE}:cluster`]),
  ];
}

export function replicaProblems(
  { name, replicas, volumes, strategy, sharedVolume }: ServiceConfig,
  cluster: DeployConfig["cluster"],
): string[] {
  if (replicas === 1) return [];
  const key = `${NAMESPACE}:services.${name}.replicas is ${replicas}`;
  const [volume] = Object.keys(volumes);
  if (cluster === undefined) {
    if (strategy === "recreate")
      return [`${key}; allowed: 1, because with strategy recreate one container at a time uses its data`];
    return volume === undefined || sharedVolume
      ? []
      : [
          `${key}; allowed: 1, or more with sharedVolume, because several containers would write to volume ${volume}`,
        ];
  }
  return volume === undefined
    ? []
    : [`${key}; allowed: 1, because volume ${volume} is on one node and two writers would corrupt it`];
}

export function edgesProblems(
  { edges, cluster, domain }: Pick<DeployConfig, "edges" | "cluster" | "domain">,
  { address, port }: DeployConfig["listen"],
): string[] {
  if (edges === "manager") return [];
  const key = `${NAMESPACE}:edges is "${edges}"; allowed:`;
  const problems: string[] = [];
  if (cluster === undefined) problems.push(`${key} manager, or others with ${NAMESPACE}:cluster "swarm"`);
  if (domain !== undefined)
    problems.push(
      `${key} only without ${NAMESPACE}:domain, because the edges cannot share one certificate; terminate TLS in the load balancer and set its address in ${NAMESPACE}:publicUrl`,
    );
  else if (address !== "0.0.0.0" && address !== "[::]")
    problems.push(
      `${NAMESPACE}:listen is "${address}:${port}"; allowed: 0.0.0.0:${port}, because with ${NAMESPACE}:edges "${edges}" a Swarm publishes the port at all addresses of a node`,
    );
  return problems;
}

/** What says where and how a site is served, what runs, and what follows a release: a front has none of it. */
const SITE_KEYS = [
  "domain",
  "domains",
  "publicUrl",
  "behind",
  "cluster",
  "services",
  "accessories",
  "maintenancePage",
  "hooks",
  "notify",
  ...(Object.keys(edgeKeys) as (keyof typeof edgeKeys)[]),
] as const satisfies readonly (keyof Parsed)[];

type Parsed = ReturnType<typeof schema.parse>;

export function frontProblems(config: Parsed): string[] {
  const { front, behind, domain, publicUrl, cluster, trustedProxies } = config;
  if (front !== undefined) {
    const unset = schema.parse({});
    const set = [...new Set(SITE_KEYS)].filter((key) => !isDeepStrictEqual(config[key], unset[key]));
    return set.map(
      (key) =>
        `${NAMESPACE}:${key} is set; allowed: only without ${NAMESPACE}:front, in the stacks behind it`,
    );
  }
  if (behind === undefined) return [];
  const problems: string[] = [];
  if (cluster !== undefined)
    problems.push(`${NAMESPACE}:behind is "${behind}"; allowed: only without ${NAMESPACE}:cluster`);
  if (domain === undefined && publicUrl === undefined)
    problems.push(
      `${NAMESPACE}:domain is missing; allowed: a domain name, or ${NAMESPACE}:publicUrl, because the front knows a stack by its names`,
    );
  if (trustedProxies !== undefined)
    problems.push(
      `${NAMESPACE}:trustedProxies is set; allowed: only without ${NAMESPACE}:behind; set it for stack ${behind}`,
    );
  return problems;
}

export function routeProblems(services: readonly ServiceConfig[]): string[] {
  return services.flatMap((service, index) => {
    const twin = services
      .slice(0, index)
      .find(
        (other) => other.route !== undefined && other.route === service.route && sharesHost(other, service),
      );
    return twin
      ? [
          `${NAMESPACE}:services.${service.name}.route is "${service.route}", the route of ${twin.name}; allowed: a route of its own`,
        ]
      : [];
  });
}

/** Whether two services are served on the same host. One without hosts is served on the site's names. */
function sharesHost({ hosts: a }: ServiceConfig, { hosts: b }: ServiceConfig): boolean {
  return a === undefined || b === undefined ? a === b : a.some((host) => b.includes(host));
}

/**
 * Requirements of `up` besides a valid configuration; a preview needs neither the server nor its keys.
 *
 * @param origins plugin → its origin
 */
export function problemsForUp(
  config: DeployConfig,
  origins: Readonly<Record<string, PluginOrigin>> = {},
): string[] {
  const built = config.services.filter(({ image }) => image === undefined);
  const problems = built.flatMap(({ name, buildSecrets = {} }) =>
    Object.entries(buildSecrets).flatMap(([secret, from]) =>
      typeof from === "string" || process.env[from.env] !== undefined
        ? []
        : [
            `${NAMESPACE}:services.${name}.buildSecrets.${secret} names the variable ${from.env}, which is not set; allowed: a variable of the machine that deploys`,
          ],
    ),
  );
  problems.push(...(config.unset ?? []));
  if (config.registry && !config.registryPassword)
    problems.push(
      `${NAMESPACE}:registryPassword is missing; allowed: the password of registry.user, set with --secret, or in the variable WATCH_PARTY_REGISTRY_PASSWORD_<STACK>`,
    );
  if (!config.server) return problems;
  for (const { name, buildSecrets = {} } of config.buildOn === "server" ? built : [])
    if (buildSecrets.ssh !== undefined)
      problems.push(
        `${NAMESPACE}:services.${name}.buildSecrets.ssh is an agent of this machine, which the server does not reach; allowed: with ${NAMESPACE}:buildOn here, which builds on this machine`,
      );
  const { host, port } = config.server;
  const standIns = Object.keys(origins).filter((name) => origins[name] === "stand-in");
  if (standIns.length > 0 && !config.allowStandIns)
    problems.push(
      `${NAMESPACE}:allowStandIns is false; allowed: true, because this machine has this project's stand-ins of the Pulumi plugins ${standIns.join(" and ")} ("${commandLine("doctor")}" names them); or install the official plugins, as docs/plugins.md describes`,
    );
  if (!config.server.hostKey)
    problems.push(
      `${NAMESPACE}:server.hostKey is missing; allowed: the server's public key, as "ssh-keyscan -p ${port} ${host}" prints it, compared with the one on the server`,
    );
  if (!config.serverKey)
    problems.push(
      `${NAMESPACE}:serverKey is missing; allowed: a private ssh key, set with --secret, or in the variable WATCH_PARTY_SERVER_KEY_<STACK>`,
    );
  return problems;
}
