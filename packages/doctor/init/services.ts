import { posix } from "node:path";
import { type Build, guessedContext, isDockerfile, isForeign, stepsOf } from "../builds";
import { type ComposeService, resolvedText } from "../composeFile";
import { imageName, isOwn } from "../images";
import type { Repository } from "../repository";
import { isForDevelopment, isLeftOut, isTemplate } from "../scope";
import type { AccessoryCandidate } from "./accessories";
import { type ComposeApp, composeApp } from "./compose";
import { type Found, guessedTarget, imageHints } from "./image";
import type { ComposeVariables } from "./variables";

/** A service before anything is guessed. */
export interface Candidate {
  readonly name: string;
  readonly build: Build;
  readonly target?: Found<string>;
  /** Where it was found. */
  readonly at: string;
  readonly compose?: ComposeService;
}

export interface Candidates {
  readonly services: readonly Candidate[];
  readonly accessories: readonly AccessoryCandidate[];
  /** Services that this program cannot deploy or that are left out, and why. */
  readonly left: readonly string[];
  /** Parts of the compose files that are left out and need no decision. */
  readonly notTaken: readonly string[];
  /** What the compose file's variables hold. */
  readonly variables?: ComposeVariables;
}

/** Images that store data or pass messages for an app, by the last part of their name. */
const ACCESSORY =
  /^(postgres(ql)?|postgis|pgvector|timescaledb.*|mysql|mariadb|percona|mongo(db)?|redis(-stack.*)?|valkey|keydb|dragonfly|memcached|rabbitmq|nats|kafka|zookeeper|elasticsearch|opensearch|influxdb|couchdb|neo4j|cassandra|clickhouse.*|minio|meilisearch|typesense|qdrant|weaviate|etcd)$/;

/** Proxies that route by labels or for other containers, which the edge does here. */
const ROUTER = /^(traefik|nginx-proxy|acme-companion|letsencrypt-nginx-proxy-companion|caddy-docker-proxy)$/;

/** The services of an app: those that its compose file builds, else one for each Dockerfile. */
export function candidates(
  repository: Repository,
  appName: string,
  makeSecret?: (name: string) => string,
): Candidates {
  const alone = fromDockerfiles(repository, appName);
  const wants = (services: readonly ComposeService[]) =>
    services.some(
      (service) =>
        service.build !== undefined || ownDockerfile(service, alone.services, repository) !== undefined,
    );
  const app = composeApp(repository, wants, makeSecret);
  return app ? fromCompose(repository, app, alone) : alone;
}

/** The repository's Dockerfile for a service's image, as far as names show. */
function ownDockerfile(
  service: ComposeService,
  alone: readonly Candidate[],
  { owners = [] }: Repository,
): Candidate | undefined {
  const image = service.image && imageName(service.image.text);
  if (service.build || !image || ACCESSORY.test(image.name)) return undefined;
  const known = { built: new Set<string>(), owners: new Set(owners), hasDockerfile: true };
  const named = alone.find(
    ({ name }) => name === service.name || name === image.name || image.name.endsWith(`-${name}`),
  );
  if (named) return named;
  return alone.length === 1 && isOwn(image, known) ? alone[0] : undefined;
}

function fromCompose(repository: Repository, app: ComposeApp, alone: Candidates): Candidates {
  const left: string[] = [];
  const others: string[] = [];
  const routers: string[] = [];
  const accessories: AccessoryCandidate[] = [];
  const taken = new Set<string>();
  const claimed = new Map<Candidate, string | undefined>();
  const found = app.services.flatMap((compose): Candidate[] => {
    const { build, path, line } = compose;
    const at = `${path}:${line}`;
    if (!build) {
      const own = ownDockerfile(compose, alone.services, repository);
      const written = compose.image?.text;
      // One Dockerfile makes one image.
      if (own && (claimed.get(own) ?? written) === written) {
        claimed.set(own, written);
        left.push(
          `${compose.name} runs the image ${compose.image?.text}, which is taken for the one of ${own.build.dockerfile} (${at})`,
        );
        return [{ ...own, name: serviceName(compose.name, taken), at, compose }];
      }
      const image = compose.image && resolvedText(compose.image.text);
      if (image !== undefined && ACCESSORY.test(imageName(image)?.name ?? ""))
        accessories.push({ name: serviceName(compose.name, taken), image, compose });
      else if (image !== undefined && ROUTER.test(imageName(image)?.name ?? ""))
        routers.push(`${compose.name} (${image}) is left out: the edge routes requests (${at})`);
      else
        others.push(
          `${compose.name} runs an image of others (${compose.image?.text ?? "nothing"}) and is left out: add it to accessories, or run it beside the app (${at})`,
        );
      return [];
    }
    if (build.context === undefined) {
      left.push(
        `${compose.name} is built from ${build.written}, which is no folder of this repository (${path}:${build.line})`,
      );
      return [];
    }
    if (!isBelow(build.dockerfile, build.context)) {
      left.push(
        `${compose.name} has its Dockerfile, ${build.dockerfile}, outside of its context: move it there (${path}:${build.line})`,
      );
      return [];
    }
    const args = Object.fromEntries(
      build.args.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
    );
    const { target } = build;
    // A deploy of the app leaves a database alone: it runs its base image, whatever the Dockerfile adds.
    const { dockerfile, context } = build;
    const { base } = imageHints(repository, { dockerfile, context, target, args });
    if (ACCESSORY.test(imageName(base)?.name ?? "")) {
      const name = serviceName(compose.name, taken);
      accessories.push({ name, image: base, compose });
      left.push(
        `${name}: ${dockerfile} adds to ${base}, which runs without it: make an image of it and name that in accessories.${name}.image, or do by hand what it prepares (${path}:${build.line})`,
      );
      return [];
    }
    return [
      {
        name: serviceName(compose.name, taken),
        build: {
          dockerfile: build.dockerfile,
          context: build.context,
          ...(target !== undefined && { target }),
          args,
        },
        ...(target !== undefined && { target: { value: target, at: `${path}:${build.line}` } }),
        at,
        compose,
      },
    ];
  });
  return {
    services: found,
    accessories,
    left: [...others, ...left],
    notTaken: [...app.left, ...routers],
    variables: app.variables,
  };
}

/** A Dockerfile whose image is the base of another one, or a source of its files. */
function baseOf(repository: Repository, dockerfile: string): { user: string; image: string } | undefined {
  const suffix = /(?:Dockerfile|Containerfile)\.([\w-]+)$|([\w-]+)\.[Dd]ockerfile$/.exec(dockerfile);
  const name = suffix?.[1] ?? suffix?.[2] ?? posix.basename(posix.dirname(dockerfile));
  if (!/base|common|builder|deps|runtime/i.test(name)) return undefined;
  for (const [path] of repository.texts) {
    if (!isDockerfile(path) || path === dockerfile) continue;
    const images = stepsOf(repository, { dockerfile: path, context: "", args: {} }).flatMap(
      ({ stage, origins }) => [
        stage.image,
        ...origins.flatMap((origin) =>
          origin.kind === "image" ? [origin.image] : origin.kind === "stage" ? [origin.stage.image] : [],
        ),
      ],
    );
    const image = images.find((one) => {
      const read = imageName(one);
      return (
        read !== undefined &&
        (read.name === name || read.name.endsWith(`-${name}`) || read.name.endsWith(`_${name}`))
      );
    });
    if (image !== undefined) return { user: path, image };
  }
  return undefined;
}

/** Folders and suffixes that tell apart Dockerfiles of one app by their base image. */
const VARIANT =
  /^(alpine|debian|ubuntu|fedora|ubi\d*|distroless|slim|scratch|bookworm|bullseye|trixie|focal|jammy|noble)$/;
/** Programs that make packages of a distribution. */
const PACKAGER = /\b(rpm-?build|rpmbuild|debhelper|dh-make|dpkg-buildpackage|debuild)\b/;

/** Dockerfile → the one of the same app that is taken: the plain one beside it, else its first variant by name. */
function variantsOf(dockerfiles: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Map<string, string>();
  const others = new Map<string, string>();
  for (const path of [...dockerfiles].sort()) {
    const folder = posix.dirname(path);
    if (!VARIANT.test(nameOf(path, ""))) {
      if (/^(Dockerfile|Containerfile)$/.test(posix.basename(path))) taken.set(folder, path);
      continue;
    }
    const place = suffixOf(path) === undefined ? posix.dirname(folder) : folder;
    const first = taken.get(place);
    if (first === undefined) taken.set(place, path);
    else others.set(path, first);
  }
  return others;
}

function fromDockerfiles(repository: Repository, appName: string): Candidates {
  const left: string[] = [];
  const taken = new Set<string>();
  const users = new Set<string>();
  const dockerfiles = [...repository.texts.keys()].filter(
    (path) => isDockerfile(path) && !isTemplate(path, repository.texts.get(path)),
  );
  const variants = variantsOf(
    dockerfiles.filter((path) => !isForDevelopment(path) && !PACKAGER.test(repository.texts.get(path) ?? "")),
  );
  const services = dockerfiles
    // Base images first.
    .sort(
      (a, b) =>
        Number(baseOf(repository, b) !== undefined) - Number(baseOf(repository, a) !== undefined) ||
        (a < b ? -1 : 1),
    )
    .flatMap((dockerfile): Candidate[] => {
      const build: Build = { dockerfile, context: guessedContext(repository, dockerfile), args: {} };
      const base = baseOf(repository, dockerfile);
      if (base) {
        left.push(
          `${dockerfile} makes the image ${base.image}, on which ${base.user} is built: make it a stage of ${base.user} (FROM … AS base), since only one Dockerfile is built for a service (${dockerfile}:1)`,
        );
        users.add(base.user);
        return [];
      }
      const first = variants.get(dockerfile);
      if (first !== undefined) {
        left.push(
          `${dockerfile} builds the app of ${first} on another base and is left out (${dockerfile}:1)`,
        );
        return [];
      }
      const isPackager = PACKAGER.test(repository.texts.get(dockerfile) ?? "");
      const isOther =
        isForDevelopment(dockerfile) || isLeftOut(dockerfile) || /(^|\/)(\.github|ci)\//.test(dockerfile);
      if (isOther || isPackager || (!users.has(dockerfile) && isForeign(stepsOf(repository, build)))) {
        left.push(
          `${dockerfile} is ${isOther ? "for development or tests" : isPackager ? "a builder of packages" : "an image of third-party content alone"}, no service is made of it (${dockerfile}:1)`,
        );
        return [];
      }
      const target = guessedTarget(repository, dockerfile);
      const own = target ? { ...build, target: target.value } : build;
      const named = nameOf(dockerfile, appName);
      const name = serviceName(VARIANT.test(named) ? appName : named, taken);
      return [{ name, build: own, ...(target && { target }), at: `${dockerfile}:1` }];
    });
  return { services, accessories: [], left, notTaken: [] };
}

/** `Dockerfile.web` and `web.Dockerfile` are named web. Any other is named after its folder. */
function nameOf(dockerfile: string, appName: string): string {
  const suffix = suffixOf(dockerfile);
  const folders = posix
    .dirname(dockerfile)
    .split("/")
    .filter((folder) => folder !== "." && !/^(docker|deploy|\.docker|build|packaging)$/.test(folder));
  return suffix ?? folders.at(-1) ?? appName;
}

function suffixOf(dockerfile: string): string | undefined {
  const file = posix.basename(dockerfile);
  const suffix =
    /^(?:Dockerfile|Containerfile)\.(.+)$/.exec(file)?.[1] ?? /^(.+)\.[Dd]ockerfile$/.exec(file)?.[1];
  return suffix === undefined || /^(prod|production|release)$/.test(suffix) ? undefined : suffix;
}

/** Makes the name valid for the configuration, and unique. */
function serviceName(written: string, taken: Set<string>): string {
  const name = written
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 29)
    .replace(/-+$/, "");
  const base = name === "" ? "app" : name;
  let unique = base;
  for (let number = 2; taken.has(unique); number++) unique = `${base.slice(0, 27)}-${number}`;
  taken.add(unique);
  return unique;
}

function isBelow(path: string, folder: string): boolean {
  return folder === "" || path.startsWith(`${folder}/`);
}
