import * as z from "zod";
import { isTimeZone, parseCron } from "../freshness/container/cron";
import { commandLine } from "../freshness/project";
import { NO_VERSION } from "../freshness/served/upstream";
import { backupSchema } from "./backupSchema";
import { hostName } from "./edgeKeys";
import {
  absolutePath,
  assetPath,
  CPUS,
  environment,
  fileList,
  filled,
  flag,
  headers,
  hostMapping,
  insidePath,
  list,
  mountPath,
  NAMED,
  numeric,
  oneOf,
  program,
  scalar,
  secretVariables,
  strict,
  text,
  urlPath,
  VOLUME_NAME,
  variables,
  whole,
} from "./values";

/** The name of a service or an accessory. */
export const SERVICE_NAME = /^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$/;

/** A service of the app: how it is built, reached and run. */
export const serviceSchema = strict({
  /** Build context, a folder relative to `source`. Default: the name. */
  context: insidePath.optional(),
  /** Dockerfile, relative to the context. Default: `Dockerfile`. */
  dockerfile: insidePath.default("Dockerfile"),
  /** Stage to build. Default: the last one. */
  target: filled.optional(),
  /** The port the service listens on. Default: 3000 for frontend, 8000 for backend; absent: no HTTP. */
  port: whole(1, 65535).optional(),
  /** Path prefix at the edge, passed on unchanged unless `stripPrefix` is set. Default: `/` for frontend, `/api` for backend; absent: a worker. */
  route: urlPath
    .refine((route) => route === "/" || !route.endsWith("/"), {
      error: 'allowed: a path without "/" at its end',
    })
    .refine((route) => !/^\/\.freshness(\/|$)/.test(route), {
      error: "allowed: a path other than /.freshness",
    })
    .optional(),
  /** Whether the edge removes the route from the path and sends it in X-Forwarded-Prefix. Default: false. */
  stripPrefix: flag.optional(),
  /**
   * Host names of its own, such as `[api.example.org]`: its route is served there and nowhere else. A service without them is served
   * on the names of the site. Default: none.
   */
  hosts: z
    .preprocess((value) => (typeof value === "string" ? [value] : value), list(hostName).min(1))
    .optional(),
  /** Path that answers 200 to 299 when the service is healthy. Default: `/`, `/healthz` for backend. */
  health: urlPath.optional(),
  /**
   * Headers of the health check, besides or in place of those of a request at the public address: Host, X-Forwarded-Proto,
   * X-Forwarded-For, X-Forwarded-Host, User-Agent. Default: none.
   */
  healthHeaders: headers.optional(),
  /**
   * Path that answers `{"commit": "<sha>"}` from the commit file. `none` for a service without both: the container that
   * answered, its image's bytes and its static files prove it then. Default: `/version`.
   */
  version: z
    .union([z.literal(NO_VERSION), urlPath], { error: 'allowed: a path that begins with "/", or none' })
    .default("/version"),
  /** File of the image that holds the commit. Default: `/app/COMMIT`. */
  commitFile: absolutePath.default("/app/COMMIT"),
  /** Paths of pages that name the commit, whole or by its first seven digits or more; `served` proves it. Default: none. */
  pages: list(urlPath).default([]),
  /** Build args; GIT_COMMIT_HASH is added. Default: none. */
  args: variables.default({}),
  /**
   * Secrets of the build, for `RUN --mount=type=secret,id=NAME`: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the
   * machine that deploys. `ssh` is the socket of an agent, for `RUN --mount=type=ssh`; it needs a build on this machine. None is in a
   * layer, the log or the state. Default: none.
   */
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
  /** Environment in plain text. Default: none. */
  env: environment.default({}),
  /**
   * Environment that is kept secret in the state: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the machine that
   * deploys, else of the file `.env.STACK` beside the stack's configuration. Default: none.
   */
  secretEnv: secretVariables.default({}),
  /**
   * Files of NAME=value as compose reads them, relative to the folder of the stack's configuration. Each value is kept as in
   * `secretEnv`, and `env` and `secretEnv` override it. Default: the stack's `envFile`.
   */
  envFile: fileList.optional(),
  /**
   * Another service whose image this one runs, usually with another `command`. The service then has no build. Default:
   * its own image.
   */
  image: z
    .string({ error: "allowed: the name of another service" })
    .min(1, { error: "allowed: the name of another service" })
    .optional(),
  /** What runs in place of the image's CMD: a list, or a text that is split at spaces outside quotes. Default: the image's. */
  command: program
    .refine((words) => words.every((word) => word !== ""), {
      error:
        "allowed: arguments that are not empty; the docker plugin passes an empty one only in `entrypoint`",
    })
    .optional(),
  /** What runs in place of the image's ENTRYPOINT, whose CMD is dropped then: as `command`. Default: the image's. */
  entrypoint: program.optional(),
  /**
   * Whether process 1 is docker-init, which passes signals on and reaps ended children. Default: true, unless what is started is an
   * init by its name, such as `/init`, `tini` or `init.sh`.
   */
  init: flag.optional(),
  /** Seconds that a container has between its stop signal and being killed, at each deploy. Default: 10. */
  stopSeconds: whole(1, 3600).optional(),
  /** The signal that asks the container to end, such as SIGQUIT. Default: the image's, else SIGTERM. */
  stopSignal: text
    .regex(/^(SIG)?[A-Z][A-Z0-9+-]*$|^\d{1,2}$/, { error: "allowed: a signal, such as SIGQUIT" })
    .optional(),
  /** User or `user:group`, by name or number, that runs in the container. Default: the image's. */
  user: z
    .preprocess(
      (value) => (typeof value === "number" ? String(value) : value),
      text.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, {
        error: 'allowed: a user or user:group, such as "1000:1000"',
      }),
    )
    .optional(),
  /** Folders that are kept in memory and are empty at each start. Default: none. */
  tmpfs: z.preprocess((value) => (typeof value === "string" ? [value] : value), list(mountPath)).optional(),
  /** Size of /dev/shm in MiB. Default: the engine's, 64. */
  shmMb: whole(1, 1048576).optional(),
  /** Host name → address, written to /etc/hosts; `host-gateway` is the engine's own machine. Default: none. */
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
  /** How much CPU time it gets, in CPUs. Default: no limit. */
  cpus: z
    .preprocess(numeric, z.number({ error: CPUS }).min(0.01, { error: CPUS }).max(1024, { error: CPUS }))
    .optional(),
  /** How many processes and threads may run in the container; a Swarm has no such limit. Default: 4096. */
  pidsLimit: whole(1, 4194304).optional(),
  /** Memory limit in MiB, swap included. Default: 1024. */
  memoryMb: whole(6, 1048576).default(1024),
  /**
   * Linux capabilities that are kept, with or without `CAP_`; all others are dropped. `webserver` stands for what nginx, Apache
   * and PHP-FPM need to start as root and to serve as another user: CHOWN, DAC_OVERRIDE, NET_BIND_SERVICE, SETGID, SETUID.
   * Default: none.
   */
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
  /** Whether the root file system is read-only (with a tmpfs on /tmp). Default: false. */
  readOnly: flag.default(false),
  /**
   * Volume name → path in the container. A name is one volume of the stack: services that use it share it, and a service that
   * is renamed keeps it. Default: none.
   */
  volumes: z
    .record(z.string().regex(VOLUME_NAME, { error: "allowed: a lower-case name" }), mountPath, {
      error: NAMED,
    })
    .default({}),
  /**
   * Name in `volumes` → the volume of the stack that is mounted there instead of one of that name, such as its name before it
   * was renamed. Default: none.
   */
  volumesFrom: z
    .record(
      z.string().regex(VOLUME_NAME, { error: "allowed: a lower-case name" }),
      text.regex(/^([a-z0-9-]+\/)?[A-Za-z0-9][A-Za-z0-9_.-]*$/, {
        error: `allowed: the name of a volume, as \`${commandLine("volumes")}\` lists it`,
      }),
      { error: NAMED },
    )
    .optional(),
  /**
   * How a new container replaces the old one: `roll` starts it beside the old one; `recreate` stops the old one first and starts it
   * again if the new one is refused, as a database needs it. Default: roll.
   */
  strategy: oneOf("roll", "recreate").optional(),
  /**
   * Whether the old and the new container may use the volumes of the service at once, as SQLite and uploaded files allow.
   * Default: false.
   */
  sharedVolume: flag.optional(),
  /**
   * What a deploy does when files that are in no volume and no cache would be lost with the old container: `warn` lists the first
   * ten, `refuse` stops the deploy. Default: warn.
   */
  unsavedFiles: oneOf("warn", "refuse").optional(),
  /** Folders in the container that the service may fill while it runs. Default: none. */
  caches: list(absolutePath).default([]),
  /**
   * Path at the edge → folder in the image, of files whose names change with their content. The edge goes on serving
   * those of the kept releases. Default: `/_next/static` → `/app/.next/static` for frontend; none otherwise.
   */
  assets: z.record(assetPath, absolutePath, { error: NAMED }).optional(),
  /**
   * Whether a page may refer to a missing picture, icon or font. Required scripts and styles must exist in any case.
   * true: fails the deploy; false: `up` and the certificate warn. Default: false.
   */
  strictAssets: flag.optional(),
  /**
   * Run once with the new release's image, environment and volumes before its containers start, such as a database
   * migration: a program and its arguments, or a text for `sh -c`. Its failure stops the deploy. Default: none.
   */
  releaseCommand: z
    .preprocess((value) => (typeof value === "string" ? ["sh", "-c", value] : value), list(filled).min(1))
    .optional(),
  /**
   * When its command runs, as crontab(5) writes it: five fields, such as a quoted `"0 3 * * *"`, or `@daily`. Its container waits
   * for the time and runs one job at a time, from the switch to a release until the next. Needs `sh`, `date` and `sleep` in the
   * image. Default: none, the command runs all the time.
   */
  schedule: text
    .superRefine((value, context) => {
      try {
        parseCron(value);
      } catch (cause) {
        context.addIssue({ code: "custom", message: `allowed: ${(cause as Error).message}` });
      }
    })
    .optional(),
  /** Time zone of `schedule`, such as `Europe/Berlin`. Default: UTC. */
  timeZone: text.refine(isTimeZone, { error: "allowed: a time zone, such as Europe/Berlin" }).optional(),
  /** How its data is backed up, such as a SQLite file in a volume. Default: not at all. */
  backup: backupSchema.optional(),
  /**
   * Stage that installs the dependencies, from manifests and lockfiles only. It becomes its own image, rebuilt when one
   * of those changes, so that its layers survive the prune. Default: none.
   */
  dependencyStage: filled.optional(),
  /**
   * Seconds a new container has to become healthy; up to four times as long while the machine that runs it has more than
   * four runnable processes for each processor. Default: 30.
   */
  startSeconds: whole(1, 3600).default(30),
  /**
   * How many containers of it run: on one engine behind the edge, on a cluster spread over its nodes. Default: 1; more need
   * a service without volumes, or on one engine `sharedVolume`.
   */
  replicas: whole(1, 100).default(1),
});

/** The keys that a service may have. */
export const serviceKeys: readonly string[] = Object.keys(serviceSchema.shape);

export const servicesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  z.preprocess((value) => value ?? {}, serviceSchema),
  { error: "allowed: a mapping of service names to their settings" },
);
