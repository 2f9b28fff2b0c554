import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { edgeProblems, redirectsOf } from "./edgeKeys";
import { readEnvFiles } from "./envFiles";
import { fromEnvironment, givenByEnvironment, type Variables, variablesOf } from "./environmentKeys";
import {
  accessoryProblems,
  describe,
  edgesProblems,
  frontProblems,
  imageProblems,
  replicaProblems,
  routeProblems,
  runProblems,
  scheduleProblems,
  serviceProblems,
} from "./problems";
import { schema } from "./schema";
import { forgetSecrets } from "./secrets";
import { changedProblems, parseStackText } from "./text";
import { type AccessoryConfig, ConfigError, type DeployConfig, NAMESPACE, type ServiceConfig } from "./types";
import { structure } from "./values";

/** Defaults of the two services of the original app; any other service starts without. */
const KNOWN: Readonly<Record<string, Pick<ServiceConfig, "port" | "route"> & Partial<ServiceConfig>>> = {
  frontend: { port: 3000, route: "/", assets: { "/_next/static": "/app/.next/static" } },
  backend: { port: 8000, route: "/api", health: "/healthz" },
};

/** Capabilities of `capabilities: webserver`. */
const WEBSERVER = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETGID",
  "CAP_SETUID",
] as const;

/**
 * Validates a stack's whole configuration.
 *
 * @param raw key (without namespace) → value: in its own type, or as the text that `pulumi config set` stores
 * @param folder the folder of the stack's configuration, which `envFile` is relative to
 * @param variables those that `{ env: VARIABLE }` finds
 * @throws ConfigError with all problems
 */
export function parseConfig(
  raw: Readonly<Record<string, unknown>>,
  folder: string = process.cwd(),
  variables: Variables = process.env,
): DeployConfig {
  const structured = Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [key, structure(key, value)]),
  );
  const parsed = schema.safeParse(structured, { reportInput: true });
  const problems = parsed.success ? [] : parsed.error.issues.flatMap(describe);
  if (!parsed.success) throw new ConfigError(problems);

  const { services: given, accessories: beside, listen: listenText, publicUrl: url, ...keys } = parsed.data;
  const { redirects: redirecting, envFile: envFiles, ...rest } = { ...keys, ...namesOf(keys) };
  const colon = listenText.lastIndexOf(":");
  const listen = { address: listenText.slice(0, colon), port: Number(listenText.slice(colon + 1)) };
  const unset: string[] = [];
  const accessories = Object.entries(beside).map(
    ([name, accessory]): AccessoryConfig => ({
      ...accessory,
      name,
      secretEnv: fromEnvironment(accessory.secretEnv, `accessories.${name}`, unset, variables),
    }),
  );
  // A front serves what other stacks run.
  const services = Object.entries(rest.front === undefined ? given : {}).map(([name, service]) =>
    serviceOf(name, service, { envFiles: envFiles ?? [], folder, variables, problems, unset }),
  );
  problems.push(
    ...imageProblems(given),
    ...services.flatMap((service) => runProblems(service, rest.cluster)),
  );
  problems.push(
    ...accessories.flatMap((each) => accessoryProblems(each, { services, accessories, ...rest })),
  );
  problems.push(...services.flatMap(serviceProblems), ...routeProblems(services));
  problems.push(...services.flatMap((service) => replicaProblems(service, rest.cluster)));
  problems.push(...services.flatMap((service) => scheduleProblems(service, rest.cluster)));
  problems.push(...stackProblems(rest));
  const publicUrl = (url ?? urlOf(rest, listen)).replace(/\/$/, "");
  const redirects = redirecting && redirectsOf(redirecting, publicUrl);
  problems.push(...edgeProblems(NAMESPACE, { ...rest, publicUrl, redirects }));
  if (rest.tls === "internal" && rest.domain === undefined && rest.front !== "https")
    problems.push(`${NAMESPACE}:tls is "internal"; allowed: only with ${NAMESPACE}:domain`);
  problems.push(...edgesProblems(rest, listen), ...frontProblems({ ...parsed.data, domain: rest.domain }));
  if (problems.length > 0) throw new ConfigError(problems);
  const owned = services.map((service) => ({ ...service, ...builtAs(service, services) }));
  return {
    ...rest,
    listen,
    services: owned,
    accessories,
    ...(unset.length > 0 ? { unset } : {}),
    ...(redirects === undefined ? {} : { redirects }),
    publicUrl,
  };
}

type Given = ReturnType<typeof schema.parse>;

/** What the variables of a service are read from, and where problems with them go. */
interface Reading {
  readonly envFiles: readonly string[];
  readonly folder: string;
  readonly variables: Variables;
  readonly problems: string[];
  readonly unset: string[];
}

/** A service with its defaults and its variables. */
function serviceOf(
  name: string,
  { envFile, ...service }: Given["services"][string],
  { envFiles, folder, variables, problems, unset }: Reading,
): ServiceConfig {
  const known = KNOWN[name];
  const key = envFile === undefined ? "envFile" : `services.${name}.envFile`;
  const fromFiles = readEnvFiles(envFile ?? envFiles, key, folder);
  problems.push(...fromFiles.problems.filter((each) => !problems.includes(each)));
  unset.push(...fromFiles.missing.filter((each) => !unset.includes(each)));
  const inFiles = Object.entries(fromFiles.values).filter(([variable]) => !(variable in service.env));
  return {
    ...service,
    name,
    secretEnv: {
      ...Object.fromEntries(inFiles),
      ...fromEnvironment(service.secretEnv, `services.${name}`, unset, variables),
    },
    context: service.context ?? name,
    port: service.port ?? known?.port,
    route: service.route ?? known?.route,
    health: service.health ?? known?.health ?? "/",
    assets: service.assets ?? known?.assets ?? {},
    capabilities: [
      ...new Set(service.capabilities.flatMap((each) => (each === "webserver" ? WEBSERVER : each))),
    ],
  };
}

/** Keys of a stack that do not go together. */
function stackProblems({
  cluster,
  freshnessKey,
  registry,
  uncommitted,
  commit,
}: Pick<Given, "cluster" | "freshnessKey" | "registry" | "uncommitted" | "commit">): string[] {
  const problems: string[] = [];
  if (cluster !== undefined && freshnessKey !== undefined)
    problems.push(`${NAMESPACE}:freshnessKey is set; allowed: only without ${NAMESPACE}:cluster`);
  if (cluster !== undefined && registry === undefined)
    problems.push(
      `${NAMESPACE}:registry.address is missing; allowed: a registry that every node of the cluster reaches, such as registry.example.org:5000`,
    );
  if (uncommitted === "include" && commit !== "HEAD")
    problems.push(
      `${NAMESPACE}:uncommitted is "include": allowed with commit HEAD alone, commit is "${commit}"`,
    );
  return problems;
}

/** Reads and validates the configuration of the running stack; the only place that reads Pulumi's configuration. */
export function readConfig(): DeployConfig {
  const own = ownKeys(pulumi.runtime.allConfig());
  const byEnvironment = givenByEnvironment(pulumi.getStack());
  forgetSecrets();
  const folder = process.cwd();
  assertWritten(stackFilePath(folder, pulumi.getStack()), own);
  return parseConfig({ ...own, ...byEnvironment }, folder, variablesOf(folder, pulumi.getStack()));
}

/** Path of a stack's configuration file. */
function stackFilePath(project: string, stack: string): string {
  return join(project, `Pulumi.${stack}.yaml`);
}

/**
 * Compares a stack's file with the CLI's values.
 *
 * @param own key without namespace → the CLI's value; absent: unknown
 * @throws ConfigError if the CLI changes a value
 */
export function assertWritten(file: string, own?: Readonly<Record<string, unknown>>): void {
  if (!existsSync(file)) return;
  const { changed } = parseStackText(readFileSync(file, "utf8"));
  const given =
    own &&
    Object.fromEntries(
      Object.entries(own).map(([key, value]) => [`${NAMESPACE}:${key}`, structure(key, value)]),
    );
  const problems = changedProblems(changed, NAMESPACE, given);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Keys of the project's namespace, without it. */
export function ownKeys<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = `${NAMESPACE}:`;
  const own = Object.entries(values).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** `domain` is the first of all names. */
function namesOf({ domain, domains }: { domain?: string; domains?: readonly string[] }) {
  if (domains === undefined) return {};
  const all = [...new Set([...(domain === undefined ? [] : [domain]), ...domains])];
  return { domain: all[0], domains: all };
}

/** A service with another one's image is built like that one. */
function builtAs(service: ServiceConfig, all: readonly ServiceConfig[]): Partial<ServiceConfig> {
  const owner = all.find(({ name }) => name === service.image);
  if (!owner) return {};
  const { context, dockerfile, target, args, commitFile, buildSecrets } = owner;
  return {
    ...(buildSecrets === undefined ? {} : { buildSecrets }),
    context,
    dockerfile,
    args,
    commitFile,
    ...(target === undefined ? {} : { target }),
  };
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
