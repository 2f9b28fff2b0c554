import * as pulumi from "@pulumi/pulumi";
import * as z from "zod";
import { CONSTRAINT } from "./freshness/served/edges";

/** The namespace of the configuration keys, which is the project's name. */
export const NAMESPACE = "watch-party";

/** One service of the app: what it is built from, how it is reached and what it may do. */
export interface ServiceConfig {
  /** Lower-case name; also the resource's name and the host name other services use. */
  readonly name: string;
  /** Build context, a folder relative to `source`. Default: the name. */
  readonly context: string;
  /** Dockerfile, relative to the context. Default: `Dockerfile`. */
  readonly dockerfile: string;
  /** Stage to build. Default: the last one. */
  readonly target?: string;
  /** The port the service listens on. Default: 3000 for frontend, 8000 for backend; absent: no HTTP. */
  readonly port?: number;
  /** Path prefix at the edge, passed on unchanged. Default: `/` for frontend, `/api` for backend; absent: a worker. */
  readonly route?: string;
  /** Path that answers 200 when the service is healthy. Default: `/`, `/healthz` for backend. */
  readonly health: string;
  /** Path that answers `{"commit": "<sha>"}` from the commit file. Default: `/version`. */
  readonly version: string;
  /** File of the image that holds the commit. Default: `/app/COMMIT`. */
  readonly commitFile: string;
  /** Paths of pages that name the commit, whole or by its first seven digits or more; `served` proves it. Default: none. */
  readonly pages: readonly string[];
  /** Build args; GIT_COMMIT_HASH is added. Default: none. */
  readonly args: Readonly<Record<string, string>>;
  /** Environment in plain text. Default: none. */
  readonly env: Readonly<Record<string, string>>;
  /** Environment that is kept secret in the state. Default: none. */
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Memory limit in MiB, swap included. Default: 1024. */
  readonly memoryMb: number;
  /** Linux capabilities that are kept; all others are dropped. Default: none. */
  readonly capabilities: readonly string[];
  /** Whether the root file system is read-only (with a tmpfs on /tmp). Default: false. */
  readonly readOnly: boolean;
  /** Volume name → path in the container. Default: none. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Folders in the container that the service may fill while it runs. Default: none. */
  readonly caches: readonly string[];
  /**
   * Path at the edge → folder in the image, of files whose names change with their content. The edge goes on serving
   * those of the kept releases. Default: `/_next/static` → `/app/.next/static` for frontend; none otherwise.
   */
  readonly assets: Readonly<Record<string, string>>;
  /**
   * Run once with the new release's image, environment and volumes before its containers start, such as a database
   * migration: a program and its arguments, or a text for `sh -c`. Its failure stops the deploy. Default: none.
   */
  readonly releaseCommand?: readonly string[];
  /**
   * Stage that installs the dependencies, from manifests and lockfiles alone. It is an image of its own, made anew when one
   * of those changes, so that its layers survive the prune. Default: none.
   */
  readonly dependencyStage?: string;
  /** Seconds a new container has to become healthy. Default: 30. */
  readonly startSeconds: number;
  /** How many containers of it run, spread over the cluster's nodes. Default: 1; more need `cluster`, and no volume. */
  readonly replicas: number;
}

/** The server to deploy to, over ssh. */
export interface ServerConfig {
  /** Its name or address. */
  readonly host: string;
  /** The port of its ssh. Default: 22. */
  readonly port: number;
  /** The user to log in as, who may use the server's Docker engine. */
  readonly user: string;
  /** The server's public host key, as `ssh-keyscan` prints it without the name. `up` demands it. */
  readonly hostKey?: string;
}

/** A registry of images, to which those that were built and proven are pushed. */
export interface RegistryConfig {
  /** `host[:port][/prefix]`, before the images' own names. */
  readonly address: string;
  /** Who logs in there, with `registryPassword`. */
  readonly user: string;
}

/** The whole configuration of a stack, validated. */
export interface DeployConfig {
  readonly source: string;
  readonly commit: string;
  readonly uncommitted: "refuse" | "include";
  readonly buildCache: "prune" | "purge";
  readonly server?: ServerConfig;
  readonly serverKey?: string;
  /** Where images are built: by the server's engine, or by this machine's, which sends them there. Default: server. */
  readonly buildOn: "server" | "here";
  /** What runs the services: a Docker Swarm whose manager the engine is; its nodes pull from `registry`. Default: the one engine. */
  readonly cluster?: "swarm";
  /**
   * Which nodes of the Swarm have an edge: the manager alone, all of them, or besides the manager's those that a placement
   * constraint chooses. Default: manager.
   */
  readonly edges: string;
  readonly registry?: RegistryConfig;
  readonly registryPassword?: string;
  readonly listen: { readonly address: string; readonly port: number };
  readonly domain?: string;
  /**
   * Who signs the domain's certificate: an authority that browsers know, by ACME, or the edge's own, for names that no such
   * authority can reach. Default: public.
   */
  readonly tls: "public" | "internal";
  readonly publicUrl: string;
  readonly keepReleases: number;
  /** How many seconds, at most, requests to the containers that go are waited for after a switch. Default: 5. */
  readonly drainSeconds: number;
  /**
   * How many seconds new containers are watched, counted from when they were made, before a deploy counts as succeeded: one that
   * ends by itself within that time is refused. Default: 15 for a service without a port, 5 for one with a port.
   */
  readonly settleSeconds?: number;
  readonly rebuild: string;
  /**
   * What is done where a base image is another one now than the release was built on, in its registry or on the engine:
   * say so, or fetch it and build anew. Default: report.
   */
  readonly baseImages: "report" | "update";
  /** How many services' images are built side by side. Default: one for each 2 GiB of the engine's memory. */
  readonly parallelBuilds?: number;
  /** What the images are built for. Default: linux/amd64, whatever machine runs the program. */
  readonly platform: "linux/amd64" | "linux/arm64";
  readonly services: readonly ServiceConfig[];
}

/** Wrong configuration: each problem names the key, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly string[]) {
    super(
      `configuration: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}\n` +
        problems.map((problem) => `  ${problem}`).join("\n"),
    );
  }
}

const text = z.string({ error: "allowed: a text" });
const filled = text.min(1, { error: "allowed: a text that is not empty" });
const urlPath = text.regex(/^\/[^\s?#{}]*$/, { error: 'allowed: a path that begins with "/"' });
const absolutePath = text.regex(/^\/[^\s]*$/, { error: 'allowed: an absolute path, such as "/data"' });
const assetPath = z.string().regex(/^(\/[A-Za-z0-9._~-]+)+$/, {
  error: 'allowed: a path such as "/_next/static"',
});
const insidePath = text.refine(isInside, { error: 'allowed: a relative path without ".."' });
const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `allowed: ${values.join(", ")}` });
const whole = (min: number, max: number) => {
  const error = `allowed: a whole number from ${min} to ${max}`;
  return z.preprocess(numeric, z.number({ error }).int({ error }).min(min, { error }).max(max, { error }));
};
const flag = z.preprocess(
  (value) => (value === "true" ? true : value === "false" ? false : value),
  z.boolean({ error: "allowed: true, false" }),
);
/** YAML and `pulumi config set --path` make numbers and booleans of what is text to a container. */
const scalar = z.preprocess(
  (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
  text,
);
const NAMED = "allowed: a mapping of names to values";
const variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "allowed: a name of letters, digits and _" }),
  scalar,
  { error: NAMED },
);
const list = <T extends z.ZodType>(item: T) => z.array(item, { error: "allowed: a list" });
const strict = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? undefined
        : `allowed: a mapping of ${Object.keys(shape).join(", ")}`,
  });

const serviceSchema = strict({
  context: insidePath.optional(),
  dockerfile: insidePath.default("Dockerfile"),
  target: filled.optional(),
  port: whole(1, 65535).optional(),
  route: urlPath
    .refine((route) => route === "/" || !route.endsWith("/"), {
      error: 'allowed: a path without "/" at its end',
    })
    .refine((route) => !/^\/\.freshness(\/|$)/.test(route), {
      error: "allowed: a path other than /.freshness",
    })
    .optional(),
  health: urlPath.optional(),
  version: urlPath.default("/version"),
  commitFile: absolutePath.default("/app/COMMIT"),
  pages: list(urlPath).default([]),
  args: variables.default({}),
  env: variables.default({}),
  secretEnv: variables.default({}),
  memoryMb: whole(6, 1_048_576).default(1024),
  capabilities: list(
    text.regex(/^(CAP_)?[A-Z_]+$/, { error: "allowed: a capability, such as NET_BIND_SERVICE" }),
  ).default([]),
  readOnly: flag.default(false),
  volumes: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9_.-]*$/, { error: "allowed: a lower-case name" }),
      absolutePath,
      {
        error: NAMED,
      },
    )
    .default({}),
  caches: list(absolutePath).default([]),
  assets: z.record(assetPath, absolutePath, { error: NAMED }).optional(),
  releaseCommand: z
    .preprocess((value) => (typeof value === "string" ? ["sh", "-c", value] : value), list(filled).min(1))
    .optional(),
  dependencyStage: filled.optional(),
  startSeconds: whole(1, 3600).default(30),
  replicas: whole(1, 100).default(1),
});

const SERVICE_NAME = /^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$/;
const servicesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  z.preprocess((value) => value ?? {}, serviceSchema),
  { error: "allowed: a mapping of service names to their settings" },
);

const serverSchema = strict({
  host: text.regex(/^[A-Za-z0-9.:-]+$/, { error: "allowed: a host name or address" }),
  port: whole(1, 65535).default(22),
  user: text.regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { error: "allowed: a user name" }),
  hostKey: text
    .regex(/^(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/=]+( .*)?$/, {
      error: 'allowed: a public host key, such as "ssh-ed25519 AAAA..."',
    })
    .optional(),
});

const registrySchema = strict({
  // Docker takes a first part without "." and ":" for a folder of its own registry.
  address: text
    .regex(/^(?=localhost(\/|$)|[^/]*[.:])[a-z0-9.-]+(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, {
      error: "allowed: host[:port][/prefix], such as registry.example.org/team",
      abort: true,
    })
    .refine((address) => inRange(Number(/:(\d+)/.exec(address)?.[1] ?? 443), 1, 65535), {
      error: "allowed: a port from 1 to 65535",
    }),
  user: text.regex(/^[^\s:]+$/, { error: 'allowed: a user name without ":" and spaces' }),
});

/** All keys of a stack, with what is allowed. */
export const schema = strict({
  source: filled.default("examples/watch-party"),
  commit: filled
    .regex(/^[^-\s][^\s]*$/, { error: "allowed: a commit id, a tag or a branch" })
    .default("HEAD"),
  uncommitted: oneOf("refuse", "include").default("refuse"),
  buildCache: oneOf("prune", "purge").default("prune"),
  server: z.preprocess(absentIfEmpty, serverSchema.optional()),
  serverKey: z.preprocess(absentIfEmpty, text.optional()),
  buildOn: oneOf("server", "here").default("server"),
  cluster: z.preprocess(absentIfEmpty, oneOf("swarm").optional()),
  edges: text
    .refine((edges) => /^(manager|all)$/.test(edges) || CONSTRAINT.test(edges), {
      error: 'allowed: manager, all, or a constraint such as "node.labels.edge==true"',
    })
    .default("manager"),
  registry: z.preprocess(absentIfEmpty, registrySchema.optional()),
  registryPassword: z.preprocess(absentIfEmpty, text.optional()),
  listen: text
    .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d+$/, {
      error: "allowed: address:port, such as 127.0.0.1:8080",
      abort: true,
    })
    .refine((listen) => inRange(Number(listen.slice(listen.lastIndexOf(":") + 1)), 1, 65535), {
      error: "allowed: a port from 1 to 65535",
    })
    .default("127.0.0.1:8080"),
  domain: z.preprocess(
    absentIfEmpty,
    text
      .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, {
        error: "allowed: a domain name, such as app.example.org",
      })
      .optional(),
  ),
  tls: oneOf("public", "internal").default("public"),
  publicUrl: z.preprocess(
    absentIfEmpty,
    text.refine(isHttpUrl, { error: "allowed: an http or https URL" }).optional(),
  ),
  keepReleases: whole(1, 1000).default(5),
  drainSeconds: whole(0, 3600).default(5),
  settleSeconds: z.preprocess(absentIfEmpty, whole(0, 3600).optional()),
  rebuild: scalar.default(""),
  baseImages: oneOf("report", "update").default("report"),
  parallelBuilds: z.preprocess(absentIfEmpty, whole(1, 64).optional()),
  platform: oneOf("linux/amd64", "linux/arm64").default("linux/amd64"),
  services: z.preprocess((value) => absentIfEmpty(value) ?? { frontend: {}, backend: {} }, servicesSchema),
});

/** What differs between the two services of the original app; any other service starts from nothing. */
const KNOWN: Readonly<Record<string, Pick<ServiceConfig, "port" | "route"> & Partial<ServiceConfig>>> = {
  frontend: { port: 3000, route: "/", assets: { "/_next/static": "/app/.next/static" } },
  backend: { port: 8000, route: "/api", health: "/healthz" },
};

/** Keys whose values an error never repeats. */
const SECRET = /(^|\.)(serverKey|registryPassword|secretEnv)(\.|$)/;

/**
 * Validates a stack's configuration as a whole.
 *
 * @param raw key (without namespace) → value: of its own type, or as the text that `pulumi config set` stores
 * @throws ConfigError with all problems at once
 */
export function parseConfig(raw: Readonly<Record<string, unknown>>): DeployConfig {
  const structured = Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [key, structure(key, value)]),
  );
  const parsed = schema.safeParse(structured, { reportInput: true });
  const problems = parsed.success ? [] : parsed.error.issues.flatMap(describe);
  if (!parsed.success) throw new ConfigError(problems);

  const { services: given, listen: listenText, publicUrl, ...rest } = parsed.data;
  const services = Object.entries(given).map(([name, service]): ServiceConfig => {
    const known = KNOWN[name];
    return {
      ...service,
      name,
      context: service.context ?? name,
      port: service.port ?? known?.port,
      route: service.route ?? known?.route,
      health: service.health ?? known?.health ?? "/",
      assets: service.assets ?? known?.assets ?? {},
    };
  });
  problems.push(...services.flatMap(serviceProblems), ...routeProblems(services));
  problems.push(...services.flatMap((service) => replicaProblems(service, rest.cluster)));
  if (rest.cluster !== undefined && rest.registry === undefined)
    problems.push(
      `${NAMESPACE}:registry.address is missing; allowed: a registry that every node of the cluster reaches, such as registry.example.org:5000`,
    );
  if (rest.uncommitted === "include" && rest.commit !== "HEAD")
    problems.push(
      `${NAMESPACE}:uncommitted is "include": allowed with commit HEAD alone, commit is "${rest.commit}"`,
    );
  if (rest.tls === "internal" && rest.domain === undefined)
    problems.push(`${NAMESPACE}:tls is "internal"; allowed: with ${NAMESPACE}:domain alone`);
  const colon = listenText.lastIndexOf(":");
  const listen = { address: listenText.slice(0, colon), port: Number(listenText.slice(colon + 1)) };
  problems.push(...edgesProblems(rest, listen));
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...rest, listen, services, publicUrl: (publicUrl ?? urlOf(rest, listen)).replace(/\/$/, "") };
}

/** Reads and validates the configuration of the running stack; the only place that reads pulumi.Config. */
export function readConfig(): DeployConfig {
  return parseConfig({ ...ownKeys(pulumi.runtime.allConfig()), ...givenByEnvironment(pulumi.getStack()) });
}

/** The variable that holds the private key of a stack's server, in place of the stack's file. */
export function serverKeyVariable(stack: string): string {
  return `WATCH_PARTY_SERVER_KEY_${variablePart(stack)}`;
}

/** The variable that holds the password of a stack's registry, in place of the stack's file. */
function registryPasswordVariable(stack: string): string {
  return `WATCH_PARTY_REGISTRY_PASSWORD_${variablePart(stack)}`;
}

function variablePart(stack: string): string {
  return stack.toUpperCase().replace(/[^A-Z0-9]/g, "_");
}

/**
 * What CI gives by variables. A key that is no secret of the stack's file is in no file and no state that a preview reads;
 * it has the stack's name, for a promotion reaches two servers.
 */
export function givenByEnvironment(
  stack: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): { serverKey?: string; registryPassword?: string; commit?: string } {
  const serverKey = env[serverKeyVariable(stack)];
  const registryPassword = env[registryPasswordVariable(stack)];
  const commit = env.WATCH_PARTY_COMMIT;
  return {
    ...(serverKey && { serverKey }),
    ...(registryPassword && { registryPassword }),
    ...(commit && { commit }),
  };
}

/** The keys of the project's namespace, without it. */
export function ownKeys<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = `${NAMESPACE}:`;
  const own = Object.entries(values).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** What `up` needs beyond a valid configuration; a preview needs neither the server nor its keys. */
export function problemsForUp(config: DeployConfig): string[] {
  const problems: string[] = [];
  if (config.registry && !config.registryPassword)
    problems.push(
      `${NAMESPACE}:registryPassword is missing; allowed: the password of registry.user, set with --secret, or in the variable WATCH_PARTY_REGISTRY_PASSWORD_<STACK>`,
    );
  if (!config.server) return problems;
  const { host, port } = config.server;
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

function describe(issue: z.core.$ZodIssue): string[] {
  const key = `${NAMESPACE}:${issue.path.join(".")}`;
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((name) => {
      const at = [...issue.path, name].join(".");
      const parts: Readonly<Record<PropertyKey, { readonly shape: object }>> = {
        ...{ services: serviceSchema, server: serverSchema, registry: registrySchema },
      };
      const known = parts[issue.path[0] ?? ""] ?? schema;
      return `${NAMESPACE}:${at} is not a key; allowed: ${Object.keys(known.shape).join(", ")}`;
    });
  if (issue.code === "invalid_key")
    return [`${key} is a wrong name; ${issue.issues[0]?.message ?? issue.message}`];
  if (issue.input === undefined) return [`${key} is missing; ${issue.message}`];
  const value = SECRET.test(issue.path.join(".")) ? "[secret]" : JSON.stringify(issue.input);
  return [`${key} is ${value}; ${issue.message}`];
}

function serviceProblems(service: ServiceConfig): string[] {
  const key = `${NAMESPACE}:services.${service.name}`;
  const problems: string[] = [];
  if (service.route !== undefined && service.port === undefined)
    problems.push(`${key}.port is missing; allowed: a whole number from 1 to 65535, for it has a route`);
  if ("GIT_COMMIT_HASH" in service.args)
    problems.push(`${key}.args.GIT_COMMIT_HASH is set; allowed: any other name, the deploy sets this one`);
  if ("BUILDKIT_INLINE_CACHE" in service.args)
    problems.push(
      `${key}.args.BUILDKIT_INLINE_CACHE is set; allowed: any other name, an inline cache gives old layers back`,
    );
  for (const name of Object.keys(service.secretEnv))
    if (name in service.env)
      problems.push(`${key}.env.${name} is set in secretEnv too; allowed: one of them`);
  for (const [volume, path] of Object.entries(service.volumes))
    if (path === "/") problems.push(`${key}.volumes.${volume} is "/"; allowed: a folder below it`);
  return problems;
}

function replicaProblems(
  { name, replicas, volumes }: ServiceConfig,
  cluster: DeployConfig["cluster"],
): string[] {
  if (replicas === 1) return [];
  const key = `${NAMESPACE}:services.${name}.replicas is ${replicas}`;
  if (cluster === undefined) return [`${key}; allowed: 1, or more with ${NAMESPACE}:cluster "swarm"`];
  const [volume] = Object.keys(volumes);
  return volume === undefined
    ? []
    : [`${key}; allowed: 1, for volume ${volume} lies on one node and two writers would spoil it`];
}

function edgesProblems(
  { edges, cluster, domain }: Pick<DeployConfig, "edges" | "cluster" | "domain">,
  { address, port }: DeployConfig["listen"],
): string[] {
  if (edges === "manager") return [];
  const key = `${NAMESPACE}:edges is "${edges}"; allowed:`;
  const problems: string[] = [];
  if (cluster === undefined) problems.push(`${key} manager, or others with ${NAMESPACE}:cluster "swarm"`);
  if (domain !== undefined)
    problems.push(
      `${key} without ${NAMESPACE}:domain alone, for one edge cannot hold the certificate of all; let what leads to them end TLS, and name it in ${NAMESPACE}:publicUrl`,
    );
  else if (address !== "0.0.0.0" && address !== "[::]")
    problems.push(
      `${NAMESPACE}:listen is "${address}:${port}"; allowed: 0.0.0.0:${port}, for with ${NAMESPACE}:edges "${edges}" a Swarm publishes it at all addresses of a node`,
    );
  return problems;
}

function routeProblems(services: readonly ServiceConfig[]): string[] {
  return services.flatMap((service, index) => {
    const twin = services
      .slice(0, index)
      .find((other) => other.route !== undefined && other.route === service.route);
    return twin
      ? [
          `${NAMESPACE}:services.${service.name}.route is "${service.route}", the route of ${twin.name}; allowed: a route of its own`,
        ]
      : [];
  });
}

function urlOf(
  config: { domain?: string; server?: { host: string } },
  listen: { address: string; port: number },
): string {
  if (config.domain) return `https://${config.domain}`;
  const any = listen.address === "0.0.0.0" || listen.address === "[::]";
  const host = any ? (config.server?.host ?? "127.0.0.1") : listen.address;
  return listen.port === 80 ? `http://${host}` : `http://${host}:${listen.port}`;
}

/** `pulumi config set` stores an object as JSON text. */
function structure(key: string, value: unknown): unknown {
  if (!["services", "server", "registry"].includes(key) || typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function absentIfEmpty(value: unknown): unknown {
  if (value === null || value === "") return undefined;
  return typeof value === "object" && Object.keys(value).length === 0 ? undefined : value;
}

function numeric(value: unknown): unknown {
  return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function isInside(path: string): boolean {
  return path !== "" && !path.startsWith("/") && !path.split("/").includes("..");
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** All values that no log may show. */
export function secretsOf(
  config: Pick<DeployConfig, "serverKey" | "registryPassword" | "services">,
): string[] {
  const { serverKey, registryPassword, services } = config;
  const variables = services.flatMap(({ secretEnv }) => Object.values(secretEnv));
  return [serverKey, registryPassword, ...variables].filter((value) => value !== undefined);
}
