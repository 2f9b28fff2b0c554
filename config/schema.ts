import * as z from "zod";
import { BACKUP_KINDS } from "../freshness/container/backupCommands";
import { CONSTRAINT } from "../freshness/served/edges";
import {
  absentIfEmpty,
  absolutePath,
  assetPath,
  CIDR,
  CPUS,
  environment,
  filled,
  flag,
  headers,
  hostMapping,
  inRange,
  insidePath,
  isHttpUrl,
  list,
  mountPath,
  NAMED,
  numeric,
  oneOf,
  program,
  proxyList,
  scalar,
  secretVariables,
  strict,
  text,
  urlPath,
  VOLUME_NAME,
  variables,
  whole,
} from "./values";

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
export const serviceSchema = strict({
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
  shmMb: whole(1, 1048576).optional(),
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
  pidsLimit: whole(1, 4194304).optional(),
  memoryMb: whole(6, 1048576).default(1024),
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
export const accessorySchema = strict({
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
  memoryMb: whole(6, 1048576).default(1024),
  shmMb: whole(1, 1048576).optional(),
  startSeconds: whole(1, 3600).default(60),
  stopSeconds: whole(1, 3600).default(30),
  backup: backupSchema.optional(),
});
const accessoriesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  accessorySchema,
  { error: "allowed: a mapping of names to their settings" },
);
export const serverSchema = strict({
  host: text.regex(/^[A-Za-z0-9.:-]+$/, { error: "allowed: a host name or address" }),
  port: whole(1, 65535).default(22),
  user: text.regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { error: "allowed: a user name" }),
  hostKey: text
    .regex(/^(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/=]+( .*)?$/, {
      error: 'allowed: a public host key, such as "ssh-ed25519 AAAA..."',
    })
    .optional(),
});
export const registrySchema = strict({
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
  edgeMemoryMb: z.preprocess(absentIfEmpty, whole(64, 1048576).optional()),
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
