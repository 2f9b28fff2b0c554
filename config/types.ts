import type { BackupKind } from "../freshness/container/backupCommands";

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

/** The service whose build creates a service's image. */
export function imageOf({ name, image }: Pick<ServiceConfig, "name" | "image">): string {
  return image ?? name;
}

/** The namespace of the configuration keys, which is the project's name. */
export const NAMESPACE = "watch-party";
