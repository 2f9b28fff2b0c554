import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import * as z from "zod";
import type { PluginOrigin } from "../freshness/chain";
import { BACKUP_KINDS, type BackupKind, kindOf } from "../freshness/container/backupCommands";
import { commandWords } from "../freshness/dockerfile/words";
import { CONSTRAINT } from "../freshness/served/edges";
import { changedProblems, parseJsonText, parseStackText, SECRET } from "./text";

/** The namespace of the configuration keys, which is the project's name. */
export const NAMESPACE = "watch-party";

/** A service of the app: how it is built, reached and run. */
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
  /** Path prefix at the edge, passed on unchanged unless `stripPrefix` is set. Default: `/` for frontend, `/api` for backend; absent: a worker. */
  readonly route?: string;
  /** Whether the edge removes the route from the path and sends it in X-Forwarded-Prefix. Default: false. */
  readonly stripPrefix?: boolean;
  /** Path that answers 200 to 299 when the service is healthy. Default: `/`, `/healthz` for backend. */
  readonly health: string;
  /**
   * Headers of the health check, besides or in place of those of a request at the public address: Host, X-Forwarded-Proto,
   * X-Forwarded-For, X-Forwarded-Host, User-Agent. Default: none.
   */
  readonly healthHeaders?: Readonly<Record<string, string>>;
  /** Path that answers `{"commit": "<sha>"}` from the commit file. Default: `/version`. */
  readonly version: string;
  /** File of the image that holds the commit. Default: `/app/COMMIT`. */
  readonly commitFile: string;
  /** Paths of pages that name the commit, whole or by its first seven digits or more; `served` proves it. Default: none. */
  readonly pages: readonly string[];
  /** Build args; GIT_COMMIT_HASH is added. Default: none. */
  readonly args: Readonly<Record<string, string>>;
  /**
   * Secrets of the build, for `RUN --mount=type=secret,id=NAME`: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the
   * machine that deploys. `ssh` is the socket of an agent, for `RUN --mount=type=ssh`. None is in a layer, the log or the state.
   * Default: none.
   */
  readonly buildSecrets?: Readonly<Record<string, string | { readonly env: string }>>;
  /** Environment in plain text. Default: none. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Environment that is kept secret in the state: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the machine that
   * deploys. Default: none.
   */
  readonly secretEnv: Readonly<Record<string, string>>;
  /**
   * Another service whose image this one runs, usually with another `command`. The service then has no build. Default:
   * its own image.
   */
  readonly image?: string;
  /** What runs in place of the image's CMD: a list, or a text that is split at spaces outside quotes. Default: the image's. */
  readonly command?: readonly string[];
  /** What runs in place of the image's ENTRYPOINT, whose CMD is dropped then: as `command`. Default: the image's. */
  readonly entrypoint?: readonly string[];
  /**
   * Whether process 1 is docker-init, which passes signals on and reaps ended children. Default: true, unless what is started is an
   * init by its name, such as `/init`, `tini` or `init.sh`.
   */
  readonly init?: boolean;
  /** Seconds that a container has between its stop signal and being killed, at each deploy. Default: 10. */
  readonly stopSeconds?: number;
  /** The signal that asks the container to end, such as SIGQUIT. Default: the image's, else SIGTERM. */
  readonly stopSignal?: string;
  /** User or `user:group`, by name or number, that runs in the container. Default: the image's. */
  readonly user?: string;
  /** Folders that are kept in memory and are empty at each start. Default: none. */
  readonly tmpfs?: readonly string[];
  /** Size of /dev/shm in MiB. Default: the engine's, 64. */
  readonly shmMb?: number;
  /** Host name → address, written to /etc/hosts; `host-gateway` is the engine's own machine. Default: none. */
  readonly extraHosts?: Readonly<Record<string, string>>;
  /** How much CPU time it gets, in CPUs. Default: no limit. */
  readonly cpus?: number;
  /** How many processes and threads may run in the container; a Swarm has no such limit. Default: 4096. */
  readonly pidsLimit?: number;
  /** Memory limit in MiB, swap included. Default: 1024. */
  readonly memoryMb: number;
  /**
   * Linux capabilities that are kept, with or without `CAP_`; all others are dropped. `webserver` stands for what nginx, Apache
   * and PHP-FPM need to start as root and to serve as another user: CHOWN, DAC_OVERRIDE, NET_BIND_SERVICE, SETGID, SETUID.
   * Default: none.
   */
  readonly capabilities: readonly string[];
  /** Whether the root file system is read-only (with a tmpfs on /tmp). Default: false. */
  readonly readOnly: boolean;
  /**
   * Volume name → path in the container. A name is one volume of the stack: services that use it share it, and a service that
   * is renamed keeps it. Default: none.
   */
  readonly volumes: Readonly<Record<string, string>>;
  /**
   * Name in `volumes` → the volume of the stack that is mounted there instead of one of that name, such as its name before it
   * was renamed. Default: none.
   */
  readonly volumesFrom?: Readonly<Record<string, string>>;
  /**
   * How a new container replaces the old one: `roll` starts it beside the old one; `recreate` stops the old one first and starts it
   * again if the new one is refused, as a database needs it. Default: roll.
   */
  readonly strategy?: "roll" | "recreate";
  /**
   * Whether the old and the new container may use the volumes of the service at once, as SQLite and uploaded files allow.
   * Default: false.
   */
  readonly sharedVolume?: boolean;
  /**
   * What a deploy does when files that are in no volume and no cache would be lost with the old container: `warn` lists the first
   * ten, `refuse` stops the deploy. Default: warn.
   */
  readonly unsavedFiles?: "warn" | "refuse";
  /** Folders in the container that the service may fill while it runs. Default: none. */
  readonly caches: readonly string[];
  /**
   * Path at the edge → folder in the image, of files whose names change with their content. The edge goes on serving
   * those of the kept releases. Default: `/_next/static` → `/app/.next/static` for frontend; none otherwise.
   */
  readonly assets: Readonly<Record<string, string>>;
  /**
   * Whether a page may refer to a missing picture, icon or font. Required scripts and styles must exist in any case.
   * true: fails the deploy; false: `up` and the certificate warn. Default: false.
   */
  readonly strictAssets?: boolean;
  /**
   * Run once with the new release's image, environment and volumes before its containers start, such as a database
   * migration: a program and its arguments, or a text for `sh -c`. Its failure stops the deploy. Default: none.
   */
  readonly releaseCommand?: readonly string[];
  /** How its data is backed up, such as a SQLite file in a volume. Default: not at all. */
  readonly backup?: BackupConfig;
  /**
   * Stage that installs the dependencies, from manifests and lockfiles only. It becomes its own image, rebuilt when one
   * of those changes, so that its layers survive the prune. Default: none.
   */
  readonly dependencyStage?: string;
  /** Seconds a new container has to become healthy. Default: 30. */
  readonly startSeconds: number;
  /** How many containers of it run, spread over the cluster's nodes. Default: 1; more need `cluster`, and no volume. */
  readonly replicas: number;
}

/** The service whose build creates a service's image. */
export function imageOf({ name, image }: Pick<ServiceConfig, "name" | "image">): string {
  return image ?? name;
}

/** A program beside the app that is not built here, such as a database, a cache or a queue. */
export interface AccessoryConfig {
  /** Lower-case name; also the host name that the services use. */
  readonly name: string;
  /**
   * The image, best by digest (`postgres:17@sha256:…`); a tag alone is warned of and stays what it was at first. One that the engine
   * has is not fetched.
   */
  readonly image: string;
  /** What runs in place of the image's CMD: a list, or a text that is split at spaces outside quotes. Default: the image's. */
  readonly command?: readonly string[];
  /** What runs in place of the image's ENTRYPOINT. Default: the image's. */
  readonly entrypoint?: readonly string[];
  /** User or `user:group` that runs in the container. Default: the image's. */
  readonly user?: string;
  /** The port it listens on; `<NAME>_URL` names it. Default: that of PostgreSQL, MySQL, MariaDB, Redis, MongoDB; none for others. */
  readonly port?: number;
  /**
   * Asks in the container whether it is healthy, by exit 0: a program and its arguments, or a text for `sh -c`. Default: what those
   * five have for it, else the image's own check, else a connection to the port.
   */
  readonly health?: readonly string[];
  /** Environment in plain text. Default: none. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Environment that is kept secret in the state: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the machine that
   * deploys. Default: none.
   */
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Volume name → path in the container; no service and no other accessory may use the same. Default: none. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Memory limit in MiB, swap included. Default: 1024. */
  readonly memoryMb: number;
  /** Size of /dev/shm in MiB. Default: the engine's, 64. */
  readonly shmMb?: number;
  /** Seconds a new container has to become healthy. Default: 60. */
  readonly startSeconds: number;
  /** Seconds that it has between its stop signal and being killed. Default: 30. */
  readonly stopSeconds: number;
  /** How its data is backed up. Default: not at all. */
  readonly backup?: BackupConfig;
}

/** How the data of an accessory or a service is backed up. */
export interface BackupConfig {
  /** A program that is known: postgres, mysql, mariadb, redis, sqlite. Default: by the accessory's image. */
  readonly kind?: BackupKind;
  /** The database file in the container; with kind sqlite alone. Default: none. */
  readonly file?: string;
  /** Writes the data to standard output, for `sh -c` in the container. Default: what the kind has for it. */
  readonly command?: string;
  /** Reads it back from standard input, for `sh -c` in the container. Default: what the kind has for it. */
  readonly restore?: string;
  /** How many backups are kept. Default: 7. */
  readonly keep: number;
  /** A folder on the engine's machine, absolute or below `~/`. Default: `~/watch-party-backups`. */
  readonly to: string;
  /** Whether one is taken before a `releaseCommand`; where that fails, the deploy does. Default: true. */
  readonly beforeRelease: boolean;
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
  /**
   * What to do with files that have a git filter attribute, as with git-crypt: refuse them, run the filter of this
   * machine's git configuration (apply), or deploy the committed bytes (stored). Git LFS does not count. Default:
   * refuse.
   */
  readonly filters: "refuse" | "apply" | "stored";
  readonly buildCache: "prune" | "purge";
  readonly server?: ServerConfig;
  readonly serverKey?: string;
  /**
   * Whether a deploy to a server may use this project's stand-ins for the plugins `docker` and `command`, on a machine that cannot
   * reach the official downloads. Default: false.
   */
  readonly allowStandIns: boolean;
  /** Where images are built: by the server's engine, or by this machine's, which sends them there. Default: server. */
  readonly buildOn: "server" | "here";
  /**
   * `swarm` runs the services on a Docker Swarm whose manager is the engine; its nodes pull from `registry`. Default:
   * the single engine.
   */
  readonly cluster?: "swarm";
  /**
   * Which Swarm nodes have an edge: the manager, all, or besides the manager those that a placement constraint selects.
   * Default: manager.
   */
  readonly edges: string;
  readonly registry?: RegistryConfig;
  readonly registryPassword?: string;
  readonly listen: { readonly address: string; readonly port: number };
  readonly domain?: string;
  /**
   * Who signs the domain's certificate: a public authority by ACME, or the edge's own authority for names that no
   * public one can reach. Default: public.
   */
  readonly tls: "public" | "internal";
  readonly publicUrl: string;
  /** Proxies in front of the edge whose X-Forwarded-* headers it keeps: CIDRs, or `private_ranges`. Default: none. */
  readonly trustedProxies?: readonly string[];
  /**
   * The edge's memory limit in MiB, swap included, by which it limits how many requests are under way at once. A running edge gets
   * another one without a restart. Default: an eighth of the machine's memory, at least 256 and at most 2048.
   */
  readonly edgeMemoryMb?: number;
  /** The HTML file, relative to `source`, that `maintenance on` serves. Default: a page of the program's. */
  readonly maintenancePage?: string;
  readonly keepReleases: number;
  /** Maximum seconds to drain the old containers' requests after a switch. Default: 5. */
  readonly drainSeconds: number;
  /**
   * Seconds to watch new containers, counted from their creation, before a deploy succeeds: a container that exits
   * within that time is refused. Default: 15 for a service without a port, 5 for one with a port.
   */
  readonly settleSeconds?: number;
  readonly rebuild: string;
  /**
   * What to do when a base image has changed since the release was built, in its registry or on the engine: report it,
   * or pull it and rebuild. Default: report.
   */
  readonly baseImages: "report" | "update";
  /** How many images to build in parallel. Default: one for each 2 GiB of the engine's memory. */
  readonly parallelBuilds?: number;
  /** Platform of the images. Default: linux/amd64, whatever machine runs the program. */
  readonly platform: "linux/amd64" | "linux/arm64";
  readonly services: readonly ServiceConfig[];
  readonly accessories: readonly AccessoryConfig[];
  /** What `up` refuses, since a variable that the configuration names is not set here; absent if all are. */
  readonly unset?: readonly string[];
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
/** Docker and compose put options behind a colon, which would be a part of the path here. */
const mountPath = text.regex(/^\/[^\s:]*$/, {
  error: 'allowed: an absolute path without ":", such as "/data"',
});
const absolutePath = text.regex(/^\/[^\s]*$/, { error: 'allowed: an absolute path, such as "/data"' });
const assetPath = z.string().regex(/^(\/[A-Za-z0-9._~-]+)+$/, {
  error: 'allowed: a path such as "/_next/static"',
});
const insidePath = text
  .refine(isInside, { error: 'allowed: a relative path without ".."' })
  // As git names it: without "./" before it and "/" behind it.
  .transform((path) => posix.normalize(path).replace(/(.)\/$/, "$1"));
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
/** YAML and `pulumi config set --path` turn text into numbers and booleans. */
const scalar = z.preprocess(
  (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
  text,
);
const NAMED = "allowed: a mapping of names to values";
const CPUS = "allowed: a number from 0.01 to 1024";
const VOLUME_NAME = /^[a-z0-9][a-z0-9_.-]*$/;
const variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "allowed: a name of letters, digits and _" }),
  scalar,
  { error: NAMED },
);
/** Programs such as Elasticsearch and Spring read variables whose names have dots and dashes. */
const environment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { error: "allowed: a name of letters, digits, _, . and -" }),
  scalar,
  { error: NAMED },
);
/** Variables whose values may come from the environment of the machine that deploys. */
const secretVariables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "allowed: a name of letters, digits and _" }),
  z.union([scalar, z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) })], {
    error: "allowed: a text, or a mapping of env to the name of a variable",
  }),
  { error: NAMED },
);
const list = <T extends z.ZodType>(item: T) => z.array(item, { error: "allowed: a list" });
/** A program and its arguments; a text is split as compose does. */
const program = z.preprocess(
  (value) => (typeof value === "string" ? commandWords(value) : value),
  z
    .array(scalar, { error: "allowed: a text or a list" })
    .min(1, { error: "allowed: a text or a list that is not empty" }),
);
const headers = z.record(
  z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: "allowed: the name of a header, such as Host" }),
  z.preprocess(
    (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
    text.regex(/^[^\r\n\0]*$/, { error: "allowed: a text in one line" }),
  ),
  { error: NAMED },
);
const CIDR =
  /^(\d{1,3}(\.\d{1,3}){3}(\/([0-9]|[12][0-9]|3[0-2]))?|[0-9a-fA-F:]*:[0-9a-fA-F:]*(\/\d{1,3})?|private_ranges)$/;
const strict = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? undefined
        : `allowed: a mapping of ${Object.keys(shape).join(", ")}`,
  });

const backupSchema = z.preprocess(
  (value) => (typeof value === "string" ? { kind: value } : value),
  strict({
    kind: oneOf(...BACKUP_KINDS).optional(),
    file: absolutePath.optional(),
    command: filled.optional(),
    restore: filled.optional(),
    keep: whole(1, 1000).default(7),
    to: text
      .regex(/^(~\/|\/)[A-Za-z0-9._/-]*[A-Za-z0-9]$/, {
        error: 'allowed: a folder such as "/srv/backups" or "~/backups"',
      })
      .default("~/watch-party-backups"),
    beforeRelease: flag.default(true),
  }),
);

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
  stripPrefix: flag.optional(),
  health: urlPath.optional(),
  healthHeaders: headers.optional(),
  version: urlPath.default("/version"),
  commitFile: absolutePath.default("/app/COMMIT"),
  pages: list(urlPath).default([]),
  args: variables.default({}),
  buildSecrets: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, { error: "allowed: a name of letters, digits, _, . and -" }),
      z.union([scalar, z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) })], {
        error: "allowed: a text, or a mapping of env to the name of a variable",
      }),
      { error: NAMED },
    )
    .optional(),
  env: environment.default({}),
  secretEnv: secretVariables.default({}),
  image: z
    .string({ error: "allowed: the name of another service" })
    .min(1, { error: "allowed: the name of another service" })
    .optional(),
  command: program.optional(),
  entrypoint: program.optional(),
  init: flag.optional(),
  stopSeconds: whole(1, 3600).optional(),
  stopSignal: text
    .regex(/^(SIG)?[A-Z][A-Z0-9+-]*$|^\d{1,2}$/, { error: "allowed: a signal, such as SIGQUIT" })
    .optional(),
  user: z
    .preprocess(
      (value) => (typeof value === "number" ? String(value) : value),
      text.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, {
        error: 'allowed: a user or user:group, such as "1000:1000"',
      }),
    )
    .optional(),
  tmpfs: z.preprocess((value) => (typeof value === "string" ? [value] : value), list(mountPath)).optional(),
  shmMb: whole(1, 1_048_576).optional(),
  extraHosts: z
    .preprocess(
      hostMapping,
      z.record(
        z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/, { error: "allowed: a host name" }),
        text.regex(/^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*|host-gateway)$/, {
          error: "allowed: an IP address, or host-gateway",
        }),
        { error: NAMED },
      ),
    )
    .optional(),
  cpus: z
    .preprocess(numeric, z.number({ error: CPUS }).min(0.01, { error: CPUS }).max(1024, { error: CPUS }))
    .optional(),
  pidsLimit: whole(1, 4_194_304).optional(),
  memoryMb: whole(6, 1_048_576).default(1024),
  capabilities: z
    .preprocess(
      (value) => (value === "webserver" ? [value] : value),
      z.array(
        text.regex(/^((CAP_)?[A-Z_]+|webserver)$/, {
          error: "allowed: a capability, such as NET_BIND_SERVICE, or webserver",
        }),
        { error: "allowed: a list, or webserver" },
      ),
    )
    .default([]),
  readOnly: flag.default(false),
  volumes: z
    .record(z.string().regex(VOLUME_NAME, { error: "allowed: a lower-case name" }), mountPath, {
      error: NAMED,
    })
    .default({}),
  volumesFrom: z
    .record(
      z.string().regex(VOLUME_NAME, { error: "allowed: a lower-case name" }),
      text.regex(/^([a-z0-9-]+\/)?[A-Za-z0-9][A-Za-z0-9_.-]*$/, {
        error: "allowed: the name of a volume, as `npm run volumes` lists it",
      }),
      { error: NAMED },
    )
    .optional(),
  strategy: oneOf("roll", "recreate").optional(),
  sharedVolume: flag.optional(),
  unsavedFiles: oneOf("warn", "refuse").optional(),
  caches: list(absolutePath).default([]),
  assets: z.record(assetPath, absolutePath, { error: NAMED }).optional(),
  strictAssets: flag.optional(),
  releaseCommand: z
    .preprocess((value) => (typeof value === "string" ? ["sh", "-c", value] : value), list(filled).min(1))
    .optional(),
  backup: backupSchema.optional(),
  dependencyStage: filled.optional(),
  startSeconds: whole(1, 3600).default(30),
  replicas: whole(1, 100).default(1),
});

/** The keys that a service may have. */
export const serviceKeys: readonly string[] = Object.keys(serviceSchema.shape);

const SERVICE_NAME = /^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$/;
const servicesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  z.preprocess((value) => value ?? {}, serviceSchema),
  { error: "allowed: a mapping of service names to their settings" },
);

const accessorySchema = strict({
  image: text.regex(/^[a-zA-Z0-9][A-Za-z0-9._/:@-]*$/, {
    error: "allowed: an image, such as postgres:17@sha256:DIGEST",
  }),
  command: serviceSchema.shape.command,
  entrypoint: serviceSchema.shape.entrypoint,
  user: serviceSchema.shape.user,
  port: whole(1, 65535).optional(),
  health: serviceSchema.shape.releaseCommand,
  env: environment.default({}),
  secretEnv: secretVariables.default({}),
  volumes: serviceSchema.shape.volumes,
  memoryMb: whole(6, 1_048_576).default(1024),
  shmMb: whole(1, 1_048_576).optional(),
  startSeconds: whole(1, 3600).default(60),
  stopSeconds: whole(1, 3600).default(30),
  backup: backupSchema.optional(),
});
const accessoriesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  accessorySchema,
  { error: "allowed: a mapping of names to their settings" },
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
  // Docker reads a first part without "." and ":" as a folder of its own registry.
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

/** All configuration keys, with their allowed values. */
export const schema = strict({
  source: filled.default("examples/watch-party"),
  commit: filled
    .regex(/^[^-\s][^\s]*$/, { error: "allowed: a commit id, a tag or a branch" })
    .default("HEAD"),
  uncommitted: oneOf("refuse", "include").default("refuse"),
  filters: oneOf("refuse", "apply", "stored").default("refuse"),
  buildCache: oneOf("prune", "purge").default("prune"),
  server: z.preprocess(absentIfEmpty, serverSchema.optional()),
  serverKey: z.preprocess(absentIfEmpty, text.optional()),
  allowStandIns: flag.default(false),
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
  trustedProxies: z.preprocess(
    proxyList,
    list(
      text.regex(CIDR, { error: 'allowed: a CIDR such as "10.0.0.0/8", an address, or private_ranges' }),
    ).optional(),
  ),
  edgeMemoryMb: z.preprocess(absentIfEmpty, whole(64, 1_048_576).optional()),
  maintenancePage: z.preprocess(absentIfEmpty, insidePath.optional()),
  keepReleases: whole(1, 1000).default(5),
  drainSeconds: whole(0, 3600).default(5),
  settleSeconds: z.preprocess(absentIfEmpty, whole(0, 3600).optional()),
  rebuild: scalar.default(""),
  baseImages: oneOf("report", "update").default("report"),
  parallelBuilds: z.preprocess(absentIfEmpty, whole(1, 64).optional()),
  platform: oneOf("linux/amd64", "linux/arm64").default("linux/amd64"),
  services: z.preprocess((value) => absentIfEmpty(value) ?? { frontend: {}, backend: {} }, servicesSchema),
  accessories: z.preprocess((value) => absentIfEmpty(value) ?? {}, accessoriesSchema),
});

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
 * @throws ConfigError with all problems
 */
export function parseConfig(raw: Readonly<Record<string, unknown>>): DeployConfig {
  const structured = Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [key, structure(key, value)]),
  );
  const parsed = schema.safeParse(structured, { reportInput: true });
  const problems = parsed.success ? [] : parsed.error.issues.flatMap(describe);
  if (!parsed.success) throw new ConfigError(problems);

  const { services: given, accessories: beside, listen: listenText, publicUrl, ...rest } = parsed.data;
  const unset: string[] = [];
  const accessories = Object.entries(beside).map(
    ([name, accessory]): AccessoryConfig => ({
      ...accessory,
      name,
      secretEnv: fromEnvironment(accessory.secretEnv, `accessories.${name}`, unset),
    }),
  );
  const services = Object.entries(given).map(([name, service]): ServiceConfig => {
    const known = KNOWN[name];
    return {
      ...service,
      name,
      secretEnv: fromEnvironment(service.secretEnv, `services.${name}`, unset),
      context: service.context ?? name,
      port: service.port ?? known?.port,
      route: service.route ?? known?.route,
      health: service.health ?? known?.health ?? "/",
      assets: service.assets ?? known?.assets ?? {},
      capabilities: [
        ...new Set(service.capabilities.flatMap((each) => (each === "webserver" ? WEBSERVER : each))),
      ],
    };
  });
  problems.push(
    ...imageProblems(given),
    ...services.flatMap((service) => runProblems(service, rest.cluster)),
  );
  problems.push(
    ...accessories.flatMap((each) => accessoryProblems(each, { services, accessories, ...rest })),
  );
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
    problems.push(`${NAMESPACE}:tls is "internal"; allowed: only with ${NAMESPACE}:domain`);
  const colon = listenText.lastIndexOf(":");
  const listen = { address: listenText.slice(0, colon), port: Number(listenText.slice(colon + 1)) };
  problems.push(...edgesProblems(rest, listen));
  if (problems.length > 0) throw new ConfigError(problems);
  const owned = services.map((service) => ({ ...service, ...builtAs(service, services) }));
  return {
    ...rest,
    listen,
    services: owned,
    accessories,
    ...(unset.length > 0 ? { unset } : {}),
    publicUrl: (publicUrl ?? urlOf(rest, listen)).replace(/\/$/, ""),
  };
}

/** Reads and validates the configuration of the running stack; the only place that reads pulumi.Config. */
export function readConfig(): DeployConfig {
  const own = ownKeys(pulumi.runtime.allConfig());
  const byEnvironment = givenByEnvironment(pulumi.getStack());
  forgetSecrets();
  assertWritten(stackFilePath(process.cwd(), pulumi.getStack()), own);
  return parseConfig({ ...own, ...byEnvironment });
}

/** Removes the variables from this process's environment, because child processes would inherit them. */
function forgetSecrets(env: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(env))
    if (
      /^(PULUMI_CONFIG|PULUMI_CONFIG_SECRET_KEYS|WATCH_PARTY_(SERVER_KEY|REGISTRY_PASSWORD)_.*)$/.test(name)
    )
      delete env[name];
}

/** Folder of the stacks' configuration in the CLI. */
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
 * Values that CI passes in variables. Such a key is in no file, and in no state that a preview reads. The variable has
 * the stack's name, because a promotion reaches two servers.
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

/** Keys of the project's namespace, without it. */
export function ownKeys<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = `${NAMESPACE}:`;
  const own = Object.entries(values).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** The values of secret variables. What a variable of this machine should hold, and does not, is noted for `up`. */
function fromEnvironment(
  given: Readonly<Record<string, string | { readonly env: string }>>,
  at: string,
  unset: string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, from]) => {
      if (typeof from === "string") return [name, from];
      const value = process.env[from.env];
      if (value === undefined)
        unset.push(
          `${NAMESPACE}:${at}.secretEnv.${name} names the variable ${from.env}, which is not set; allowed: a variable of the machine that deploys`,
        );
      return [name, value ?? ""];
    }),
  );
}

/** A service's build secrets with their values, except unset variables, which `problemsForUp` reports. */
export function buildSecretsOf({
  buildSecrets = {},
}: Pick<ServiceConfig, "buildSecrets">): Record<string, string> {
  const found = Object.entries(buildSecrets).flatMap(([name, from]) => {
    const value = typeof from === "string" ? from : process.env[from.env];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
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
  const { host, port } = config.server;
  const standIns = Object.keys(origins).filter((name) => origins[name] === "stand-in");
  if (standIns.length > 0 && !config.allowStandIns)
    problems.push(
      `${NAMESPACE}:allowStandIns is false; allowed: true, because this machine has this project's stand-ins of the Pulumi plugins ${standIns.join(" and ")} ("npm run doctor" names them); or install the official plugins, as docs/plugins.md describes`,
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

function describe(issue: z.core.$ZodIssue): string[] {
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

function serviceProblems(service: ServiceConfig): string[] {
  const key = `${NAMESPACE}:services.${service.name}`;
  const problems = backupProblems(key, service.backup, undefined);
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
  for (const [volume, path] of Object.entries(service.volumes))
    if (path === "/") problems.push(`${key}.volumes.${volume} is "/"; allowed: a folder below it`);
  for (const [volume, from] of Object.entries(service.volumesFrom ?? {}))
    if (!(volume in service.volumes))
      problems.push(`${key}.volumesFrom.${volume} is "${from}"; allowed: a name in ${key}.volumes`);
  return problems;
}

function accessoryProblems(
  { name, image, volumes, env, secretEnv, backup }: AccessoryConfig,
  { services, accessories, cluster }: Pick<DeployConfig, "services" | "accessories" | "cluster">,
): string[] {
  const key = `${NAMESPACE}:accessories.${name}`;
  const problems = backupProblems(key, backup, kindOf({ image, env }));
  if (name === "edge" || services.some((service) => service.name === name))
    problems.push(
      `${key} is the name of ${name === "edge" ? "the edge" : "a service"}; allowed: a name of its own`,
    );
  if (cluster !== undefined) problems.push(`${key} is set; allowed: without ${NAMESPACE}:cluster alone`);
  for (const variable of Object.keys(secretEnv))
    if (variable in env)
      problems.push(`${key}.env.${variable} is set in secretEnv too; allowed: one of them`);
  for (const [volume, path] of Object.entries(volumes)) {
    if (path === "/") problems.push(`${key}.volumes.${volume} is "/"; allowed: a folder below it`);
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

function imageProblems(
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

function runProblems(service: ServiceConfig, cluster: DeployConfig["cluster"]): string[] {
  const key = `${NAMESPACE}:services.${service.name}`;
  const problems: string[] = [];
  const { route, stripPrefix, tmpfs = [], volumes, extraHosts = {}, pidsLimit } = service;
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
    : [`${key}; allowed: 1, because volume ${volume} is on one node and two writers would corrupt it`];
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
      `${key} only without ${NAMESPACE}:domain, because the edges cannot share one certificate; terminate TLS in the load balancer and set its address in ${NAMESPACE}:publicUrl`,
    );
  else if (address !== "0.0.0.0" && address !== "[::]")
    problems.push(
      `${NAMESPACE}:listen is "${address}:${port}"; allowed: 0.0.0.0:${port}, because with ${NAMESPACE}:edges "${edges}" a Swarm publishes the port at all addresses of a node`,
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
  if (!["services", "accessories", "server", "registry"].includes(key) || typeof value !== "string")
    return value;
  try {
    return parseJsonText(value);
  } catch {
    return value;
  }
}

function absentIfEmpty(value: unknown): unknown {
  if (value === null || value === "") return undefined;
  return typeof value === "object" && Object.keys(value).length === 0 ? undefined : value;
}

/** `["db:10.0.0.1"]`, in the notation of compose, is a mapping of names to addresses. */
function hostMapping(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return Object.fromEntries(
    value.map((each) => {
      const [, name, address] = /^([^:=]+)[:=](.*)$/.exec(String(each)) ?? [];
      return [name ?? String(each), (address ?? "").replace(/^\[|\]$/g, "")];
    }),
  );
}

/** One value, or a list as `pulumi config set` stores it. */
function proxyList(value: unknown): unknown {
  if (typeof value !== "string") return value ?? undefined;
  if (value === "") return undefined;
  return value.startsWith("[")
    ? structure("services", value)
    : value.split(/[\s,]+/).filter((each) => each !== "");
}

function numeric(value: unknown): unknown {
  // Some readers take a leading zero for octal.
  return typeof value === "string" && /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value) ? Number(value) : value;
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
  config: Pick<DeployConfig, "serverKey" | "registryPassword" | "services" | "accessories">,
): string[] {
  const { serverKey, registryPassword, services, accessories } = config;
  const variables = services.flatMap(({ secretEnv }) => Object.values(secretEnv));
  const beside = accessorySecretsOf({ accessories });
  return [serverKey, registryPassword, ...variables, ...beside].filter((value) => value !== undefined);
}

/** The secrets of accessories, also as they stand in `<NAME>_URL`. */
export function accessorySecretsOf({ accessories }: Pick<DeployConfig, "accessories">): string[] {
  const values = accessories.flatMap(({ secretEnv }) => Object.values(secretEnv));
  return [...new Set(values.flatMap((value) => [value, encodeURIComponent(value)]))];
}
