import * as z from "zod";
import { isPackage } from "../freshness/package";
import { CONSTRAINT } from "../freshness/served/edges";
import { accessoriesSchema } from "./accessorySchema";
import { edgeKeys, hostName } from "./edgeKeys";
import { hooksSchema, notifySchema } from "./hooksSchema";
import { servicesSchema } from "./serviceSchema";
import {
  absentIfEmpty,
  CIDR,
  fileList,
  filled,
  flag,
  inRange,
  insidePath,
  isHttpUrl,
  list,
  oneOf,
  proxyList,
  scalar,
  strict,
  text,
  whole,
} from "./values";

/** The server to deploy to, over ssh. */
export const serverSchema = strict({
  /** Its name or address. */
  host: text.regex(/^[A-Za-z0-9.:-]+$/, { error: "allowed: a host name or address" }),
  /** The port of its ssh. Default: 22. */
  port: whole(1, 65535).default(22),
  /** The user to log in as, who may use the server's Docker engine. */
  user: text.regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { error: "allowed: a user name" }),
  /** The server's public host key, as `ssh-keyscan` prints it without the name. `up` demands it. */
  hostKey: text
    .regex(/^(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/=]+( .*)?$/, {
      error: 'allowed: a public host key, such as "ssh-ed25519 AAAA..."',
    })
    .optional(),
});

/** A registry of images, to which those that were built and proven are pushed. */
export const registrySchema = strict({
  // Docker reads a first part without "." and ":" as a folder of its own registry.
  /** `host[:port][/prefix]`, before the images' own names. */
  address: text
    .regex(/^(?=localhost(\/|$)|[^/]*[.:])[a-z0-9.-]+(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, {
      error: "allowed: host[:port][/prefix], such as registry.example.org/team",
      abort: true,
    })
    .refine((address) => inRange(Number(/:(\d+)/.exec(address)?.[1] ?? 443), 1, 65535), {
      error: "allowed: a port from 1 to 65535",
    }),
  /** Who logs in there, with `registryPassword`. */
  user: text.regex(/^[^\s:]+$/, { error: 'allowed: a user name without ":" and spaces' }),
});

/** All configuration keys of a stack, with their allowed values. A key's comment is its text in docs/reference.md and Pulumi.yaml. */
export const schema = strict({
  /** The app: a folder inside a git checkout, absolute or relative to this project. */
  source: filled.default(isPackage ? "." : "examples/watch-party"),
  /** What to deploy: a commit id, a tag or a branch of the checkout. */
  commit: filled
    .regex(/^[^-\s][^\s]*$/, { error: "allowed: a commit id, a tag or a branch" })
    .default("HEAD"),
  /**
   * Uncommitted changes below `source`: `refuse` them, or `include` to deploy them as `<sha>-dirty-<tree>`.
   */
  uncommitted: oneOf("refuse", "include").default("refuse"),
  /**
   * Files that git's filters change, as git-crypt does: `refuse` them, `apply` the filters of this machine's
   * git, or deploy the committed bytes (`stored`). Git LFS does not count.
   */
  filters: oneOf("refuse", "apply", "stored").default("refuse"),
  /** What is removed before each build: `prune` (`docker builder prune -f`) or `purge` (`-af`). */
  buildCache: oneOf("prune", "purge").default("prune"),
  /** The server to deploy to over ssh: host, port (22), user, hostKey. Default: the local engine. */
  server: z.preprocess(absentIfEmpty, serverSchema.optional()),
  /** The private ssh key for `server`. Set it with --secret. */
  serverKey: z.preprocess(absentIfEmpty, text.optional()),
  /**
   * Whether a deploy to a server may use this project's stand-ins of the Pulumi plugins `docker` and
   * `command`, on a machine that cannot reach the official downloads.
   */
  allowStandIns: flag.default(false),
  /**
   * Where images are built: by the `server`'s engine, or `here`, by this machine's, which sends them to the
   * server over ssh or by the registry.
   */
  buildOn: oneOf("server", "here").default("server"),
  /**
   * What runs the services: `swarm` for the Docker Swarm whose manager is the engine; its nodes pull from
   * `registry`. Default: the single engine.
   */
  cluster: z.preprocess(absentIfEmpty, oneOf("swarm").optional()),
  /**
   * Which nodes of the Swarm have an edge: `manager`, `all`, or besides the manager's those of a constraint
   * such as `node.labels.edge==true`.
   */
  edges: text
    .refine((edges) => /^(manager|all)$/.test(edges) || CONSTRAINT.test(edges), {
      error: 'allowed: manager, all, or a constraint such as "node.labels.edge==true"',
    })
    .default("manager"),
  /**
   * Where images that were built and proven are pushed: address (`host[:port][/prefix]`), user. Default:
   * nowhere.
   */
  registry: z.preprocess(absentIfEmpty, registrySchema.optional()),
  /** The password of `registry.user`. Set it with --secret. */
  registryPassword: z.preprocess(absentIfEmpty, text.optional()),
  /** address:port at which the edge answers. */
  listen: text
    .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d+$/, {
      error: "allowed: address:port, such as 127.0.0.1:8080",
      abort: true,
    })
    .refine((listen) => inRange(Number(listen.slice(listen.lastIndexOf(":") + 1)), 1, 65535), {
      error: "allowed: a port from 1 to 65535",
    })
    .default("127.0.0.1:8080"),
  /** The public name; the edge then serves it on 80 and 443 with automatic HTTPS. */
  domain: z.preprocess(absentIfEmpty, hostName.optional()),
  /**
   * All public names of the site, the first of which is `domain`: each has a certificate, and each is proven. Default: `domain`
   * alone.
   */
  domains: edgeKeys.domains,
  /**
   * Who signs the domain's certificate: `public`, an authority by ACME, or `internal`, the edge's own for
   * names that no public one can reach.
   */
  tls: oneOf("public", "internal").default("public"),
  /**
   * Makes the stack a front, which shares its ports among other stacks on the engine: `http` answers on `listen`, `https` on 80 and 443
   * with a certificate for each of their names. Such a stack has no services. Default: the stack is an app.
   */
  front: z.preprocess(absentIfEmpty, oneOf("http", "https").optional()),
  /**
   * The stack of the front on the same engine that passes this stack's requests on, by host name. The stack then publishes no port.
   * Default: the stack's edge has a port of its own.
   */
  behind: z.preprocess(
    absentIfEmpty,
    text.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, { error: "allowed: the name of a stack" }).optional(),
  ),
  /** Where users reach the app; the proofs ask there. Default: from `domain` or `listen`. */
  publicUrl: z.preprocess(
    absentIfEmpty,
    text.refine(isHttpUrl, { error: "allowed: an http or https URL" }).optional(),
  ),
  /**
   * Proxies in front of the edge whose X-Forwarded-Proto, -For and -Host headers it passes on: a list of
   * CIDRs, or `private_ranges`.
   */
  trustedProxies: z.preprocess(
    proxyList,
    list(
      text.regex(CIDR, { error: 'allowed: a CIDR such as "10.0.0.0/8", an address, or private_ranges' }),
    ).optional(),
  ),
  /**
   * The edge's memory limit in MiB, swap included, by which it limits how many requests are open at once. A
   * running edge gets another one without a restart. Default: an eighth of the machine's memory, at least 256
   * and at most 2048.
   */
  edgeMemoryMb: z.preprocess(absentIfEmpty, whole(64, 1048576).optional()),
  /**
   * What is redirected → where to: a text, or `{ to, status }` with status 308 by default. From: a host, a path or both; `/*` at the
   * end of a path stands for all below it, and at the end of `to` for the rest of the path. A browser keeps a redirect for 60 s.
   */
  redirects: edgeKeys.redirects,
  /**
   * Headers of all answers: name → text, an empty one removes the header. `preset: security`, or the text `security` alone, adds
   * X-Content-Type-Options, X-Frame-Options, Referrer-Policy and, for an https publicUrl, Strict-Transport-Security, each unless the
   * app sends its own.
   */
  headers: edgeKeys.headers,
  /** Whether the edge compresses answers, by zstd or gzip, that the app has not compressed. */
  compression: edgeKeys.compression,
  /** User → bcrypt hash of the password (set it with --secret). All requests need one of them, except the program's own. */
  basicAuth: edgeKeys.basicAuth,
  /**
   * A secret (set it with --secret) without which /.freshness answers 404: requests carry it in the header X-Freshness-Key, as the
   * program's own do. Not for a cluster. Default: /.freshness tells everyone the commit.
   */
  freshnessKey: edgeKeys.freshnessKey,
  /** Maximum size of a request's body, such as 10MB or 512KiB; a larger one gets status 413. Default: no limit. */
  bodyLimit: edgeKeys.bodyLimit,
  /**
   * Maximum seconds: headerSeconds for the headers of a request (10), bodySeconds for its body, idleSeconds between two requests of a
   * connection (120), answerSeconds until a service begins to answer, else status 504. Default: those in brackets, else no limit.
   */
  timeouts: edgeKeys.timeouts,
  /** Whether the edge writes each request to its log, without cookies and other credentials. */
  accessLog: edgeKeys.accessLog,
  /**
   * Directives in Caddy's own words, for all requests except those to /.freshness. Caddy checks them before the edge is touched.
   */
  extra: edgeKeys.extra,
  /**
   * The HTML file, relative to `source`, that `maintenance on` serves with status 503. Default: a page of the
   * program's.
   */
  maintenancePage: z.preprocess(absentIfEmpty, insidePath.optional()),
  /** How many releases' images stay on the engine, the running one included. */
  keepReleases: whole(1, 1000).default(5),
  /** Maximum seconds to drain the old containers' requests after a switch. */
  drainSeconds: whole(0, 3600).default(5),
  /**
   * Seconds to watch new containers, counted from their creation, before a deploy succeeds: a container that
   * exits within that time is refused. Default: 15 for a service without a port, 5 for one with a port.
   */
  settleSeconds: z.preprocess(absentIfEmpty, whole(0, 3600).optional()),
  /** Any text. A new value builds the images again. */
  rebuild: scalar.default(""),
  /**
   * A file of NAME=value, or a list of files, for every service that names none of its own, relative to the folder of the stack's
   * configuration. Default: none.
   */
  envFile: z.preprocess(absentIfEmpty, fileList.optional()),
  /** beforeBuild, beforeSwitch, afterSwitch, afterFailure -> a command on the machine that deploys. Default: none. */
  hooks: z.preprocess(absentIfEmpty, hooksSchema.optional()),
  /** A webhook, or a list: url, format and on. Default: none. */
  notify: z.preprocess(absentIfEmpty, notifySchema.optional()),
  /**
   * What to do about a base image that has changed since the release was built, in its registry or on the
   * engine: `report` it, or `update` to pull it and build again.
   */
  baseImages: oneOf("report", "update").default("report"),
  /** How many services are built side by side. Default: one for each 2 GiB of the engine's memory. */
  parallelBuilds: z.preprocess(absentIfEmpty, whole(1, 64).optional()),
  /** Platform of the images, whatever machine runs the program. */
  platform: oneOf("linux/amd64", "linux/arm64").default("linux/amd64"),
  /** Name → context, dockerfile, target, port, route, health, version, … Default: frontend and backend. */
  services: z.preprocess((value) => absentIfEmpty(value) ?? { frontend: {}, backend: {} }, servicesSchema),
  /**
   * Name → image, volumes, env, secretEnv, command, port, health, memoryMb, … of programs that are not built
   * here, such as a database.
   */
  accessories: z.preprocess((value) => absentIfEmpty(value) ?? {}, accessoriesSchema),
});
