import { posix } from "node:path";
import { composeFindings } from "../freshness/cache/compose";
import { COMMIT_ARG } from "../freshness/dockerfile/finding";
import type { Executed } from "../freshness/dockerfile/state";
import { type ComposeService, type ComposeVolume, isForDevelopment, resolvedText } from "./composeFile";
import { cacheRule, diagnosis } from "./dockerfiles";
import type { Diagnosis } from "./finding";

/** What the rules have to know of the rest of the repository. */
export interface ComposeSurroundings {
  /** Whether each build of a compose file that a script makes passes the commit. */
  readonly isCommitPassed: boolean;
  /** Whether a script pulls the images of a compose file. */
  readonly isPulled: boolean;
  /** Whether a script builds an image of this name: it is made here, and pulled from nowhere. */
  readonly isBuilt: (image: string) => boolean;
  /** What runs for a service's image; empty where its Dockerfile is not known. */
  readonly stepsOf: (service: ComposeService) => readonly Executed[];
  /** Whether the service's image holds nothing of the repository. */
  readonly isForeign: (service: ComposeService) => boolean;
}

/** Images of programs that are nobody's app: whatever their tag means tomorrow, it is not the app's code. */
const THIRD_PARTY =
  /^(docker\.io\/)?(library\/)?(postgres|postgis\/postgis|pgvector\/pgvector|mysql|mariadb|mongo|redis|valkey\/valkey|memcached|rabbitmq|nats|elasticsearch|opensearchproject\/.*|kibana|influxdb|couchdb|neo4j|cassandra|clickhouse\/.*|minio\/.*|nginx|httpd|caddy|traefik|haproxy|envoyproxy\/.*|adminer|dpage\/pgadmin4|phpmyadmin|mailhog\/.*|axllent\/mailpit|grafana\/.*|prom\/.*|jaegertracing\/.*|busybox|alpine|debian|ubuntu|node|python|golang|hashicorp\/.*|localstack\/.*|certbot\/.*|containrrr\/watchtower|portainer\/.*|registry|vault|consul|zookeeper|bitnami\/.*|confluentinc\/.*|cloudflare\/.*)(:|@|$)/;
/** Folders that a build fills, wherever they are. */
const OUTPUT =
  /(^|\/)(\.next|\.nuxt|\.svelte-kit|\.turbo|__pycache__|node_modules\/\.cache|dist|build|out)(\/|$)/;

/** All in a compose file that can serve stale code. */
export function composeFileFindings(
  path: string,
  text: string,
  services: readonly ComposeService[],
  around: ComposeSurroundings,
): Diagnosis[] {
  return [
    ...composeFindings(path, text).map((finding) => diagnosis(cacheRule(finding), finding)),
    ...services.flatMap((service) => [
      ...commitFindings(service, around),
      ...imageFindings(service, around),
      ...volumeFindings(service, around),
    ]),
  ];
}

function commitFindings(service: ComposeService, around: ComposeSurroundings): Diagnosis[] {
  const { path, name, build } = service;
  if (!build || around.isForeign(service) || isForDevelopment(path)) return [];
  const given = build.args.find((arg) => arg.name === COMMIT_ARG);
  const base = { rule: "commit-not-passed", severity: "error" as const, path };
  const isConstant = given?.value !== undefined && !given.value.includes("$");
  if (given && isConstant)
    return [
      {
        ...base,
        line: given.line,
        why: `the build of ${name} is always told the same commit, so that a new one can be given old layers`,
        found: `${COMMIT_ARG}: ${given.value}`,
        fix: `Pass on what the shell has: ${COMMIT_ARG}: \${${COMMIT_ARG}:?}.`,
      },
    ];
  if (given || around.isCommitPassed) return [];
  return [
    {
      ...base,
      line: build.line,
      why: `the build of ${name} is not told its commit, so that nothing in its layers depends on it: a new commit can be given old layers`,
      found: `build args without ${COMMIT_ARG}`,
      fix: `Add to the build section of ${name}: args: { ${COMMIT_ARG}: "\${${COMMIT_ARG}:?}" }.`,
    },
  ];
}

/** Whether an image is named by a tag that moves. */
export function isMoving(image: string): boolean {
  const name = resolvedText(image);
  if (name === undefined || name.includes("@") || THIRD_PARTY.test(name)) return false;
  const tag = /:([^/]+)$/.exec(name)?.[1];
  return tag === undefined || tag === "latest";
}

function imageFindings(
  { path, name, image, build, pullPolicy }: ComposeService,
  { isPulled, isBuilt }: ComposeSurroundings,
): Diagnosis[] {
  if (!image || build || !isMoving(image.text) || isPulled || isBuilt(image.text)) return [];
  if (pullPolicy === "always" || pullPolicy === "build") return [];
  return [
    {
      rule: "image-not-pulled",
      severity: "warning",
      path,
      line: image.line,
      why: `${name} runs what this machine has under a tag that moves: an image that is there already is not pulled again`,
      found: `image: ${image.text}`,
      fix: "Name the image by its digest or by a tag of its commit, or add pull_policy: always.",
    },
  ];
}

/** Mounts over what the image holds. */
export function volumeFindings(service: ComposeService, around: ComposeSurroundings): Diagnosis[] {
  const { path, name, build } = service;
  if (!build || isForDevelopment(path)) return [];
  const executed = around.stepsOf(service);
  const last = executed.at(-1)?.stage;
  const copied = executed
    .filter(({ stage, step, brings }) => stage === last && brings !== undefined && step.keyword !== "RUN")
    .map(({ step, workdir }) => posix.resolve(workdir, (step.json ?? step.text.split(/\s+/)).at(-1)!));
  return service.volumes.flatMap((volume): Diagnosis[] => {
    const { target, kind, source, line } = volume;
    if (kind === "tmpfs") return [];
    const what = coveredBy(volume, copied, executed.at(-1)?.workdir);
    if (what === undefined) return [];
    const shown = source === "" ? target : `${source}:${target}`;
    if (kind === "bind")
      return [
        {
          rule: "mount-over-image",
          severity: "warning",
          path,
          line,
          why: `${name} serves ${what} from a folder of the machine: whatever the image has there is hidden, and no build changes it`,
          found: shown,
          fix: `Remove it, or keep it in a compose file for development (compose.override.yaml).`,
        },
      ];
    return [
      {
        rule: "volume-over-image",
        severity: "error",
        path,
        line,
        why: `${name} keeps ${what} in a volume, which the first image fills: later images' files there are hidden by those of the first`,
        found: shown,
        fix: `Remove the volume ${shown}; a volume is for data that the app writes.`,
      },
    ];
  });
}

/** What of the image a mount lies over, if it does. */
function coveredBy(
  { target, source }: ComposeVolume,
  copied: readonly string[],
  workdir: string | undefined,
): string | undefined {
  const path = posix.normalize(target).replace(/\/$/, "") || "/";
  // A mounted file is configuration more often than code.
  if (/\/[^/]+\.[a-z0-9]{1,5}$/i.test(source) && /\.[a-z0-9]{1,5}$/i.test(path) && !OUTPUT.test(path))
    return undefined;
  const isAbove = (folder: string) => folder === path || folder.startsWith(path === "/" ? "/" : `${path}/`);
  const folder = copied.find(isAbove);
  if (folder !== undefined) return `its source in ${folder}`;
  if (copied.length > 0 && workdir !== undefined && workdir !== "/" && workdir === path)
    return `its source in ${path}`;
  if (copied.length === 0 && path === "/app") return "its source in /app";
  const output = OUTPUT.exec(path)?.[2];
  return output === undefined ? undefined : `build output (${output})`;
}
