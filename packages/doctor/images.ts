import { posix } from "node:path";
import { textBefore } from "../../freshness/sure";
import { resolvedText } from "./composeFile";

/** Third-party programs, by the last part of their name or by their owner. */
const THIRD_PARTY_NAMES =
  /^(postgres(ql)?|postgis|pgvector|timescaledb.*|mysql|mariadb|percona.*|mongo(db)?|mongo-express|redis|redis-stack.*|redisinsight|valkey|keydb|dragonfly|memcached|rabbitmq|nats|kafka|zookeeper|elasticsearch|opensearch.*|kibana|logstash|influxdb|couchdb|neo4j|cassandra|scylla|clickhouse.*|minio|mc|nginx.*|httpd|caddy|traefik|haproxy|envoy|adminer|pgadmin4|phpmyadmin|mailhog|mailpit|maildev|mailcatcher|inbucket|grafana|prometheus|alertmanager|loki|promtail|tempo|jaeger|all-in-one|busybox|alpine|debian|ubuntu|fedora|centos|node|python|golang|ruby|php|rust|openjdk|eclipse-temurin|maven|gradle|vault|consul|localstack|certbot|acme-companion|docker-gen|watchtower|portainer.*|registry|keycloak|authelia|authentik|dex|oauth2-proxy|vaultwarden|cloudflared|tailscale|ngrok|selenium.*|chrome|browserless|gotenberg|tika.*|meilisearch|typesense|weaviate|qdrant|milvus|chroma|ollama|vllm.*|sonarqube|jenkins|gitea|drone|wordpress|ghost|nextcloud|fluentd|fluent-bit|vector|telegraf|cadvisor|node-exporter|[\w-]*-exporter|[\w-]*_exporter|otel.*|opentelemetry-collector.*|dind|docker|curl|wget|git|aws-cli|wait-for-it|dockerize|flyway|liquibase|migrate|hasura|graphql-engine|postgrest|gotrue|realtime|studio|logflare|temporal.*|auto-setup|zipkin|sentry|plausible.*|matomo|metabase|superset|airflow|jupyter.*|pause|uv|poetry|distroless|etcd|ipfs|kubo|geth|ganache|hardhat|anvil|swagger-ui|dozzle|autoheal|ofelia|duplicati|restic)$/i;
const THIRD_PARTY_OWNERS =
  /^(library|bitnami|bitnamilegacy|linuxserver|lscr\.io|confluentinc|prom|grafana|hashicorp|minio|cloudflare|apache|elastic|docker|moby|opensearchproject|clickhouse|jaegertracing|otel|open-telemetry|nginxproxy|jwilder|jrcs|nginxinc|traefik|envoyproxy|containrrr|portainer|dpage|axllent|mailhog|getsentry|temporalio|supabase|hasura|timescale|pgvector|postgis|qdrant|ollama|localstack|selenium|browserless|zenika|mher|rediscommander|redislabs|redis|valkey|provectuslabs|tecnativa|chainguard|astral-sh|google|googlecontainertools|distroless|amazon|microsoft|mcr|oven|denoland|gitea|goauthentik|authelia|dexidp|vaultwarden|tailscale|gotenberg|nickfedor|crazymax|mikefarah|stakater|kiwigrid|bats|koalaman|hadolint|aquasec|anchore|trufflesecurity|fluent|vectordotdev|netdata|louislam|amir20|willfarrell|mcuadros|offen|databack|prodrigestivill|tianon|alpine|curlimages|eqalpha|adobe|wiremock|mockserver|stripe|dynamodb-local)$/i;
/** Registries with third-party images only. */
const THIRD_PARTY_REGISTRIES =
  /^(mcr\.microsoft\.com|cgr\.dev|lscr\.io|registry\.k8s\.io|k8s\.gcr\.io|docker\.elastic\.co|nvcr\.io|public\.ecr\.aws|quay\.io|registry\.access\.redhat\.com|gcr\.io)$/;
/** Registries with third-party images and a user's own images. */
const SHARED = /^(ghcr\.io|docker\.io|index\.docker\.io|registry\.hub\.docker\.com)$/;
/** Names that apps use for their parts. */
const ROLE =
  /(^|[-_/.])(app|apps|web|webapp|website|site|api|backend|back|frontend|front|server|client|ui|worker|workers|service|gateway|portal|dashboard|bot|core|admin|auth|jobs?|scheduler|cron|base|runner|engine|proxy)([-_.\d]|$)/i;
const MOVING =
  /^(latest|main|master|trunk|head|develop|development|dev|edge|nightly|canary|next|current|stable|release|production|prod|staging|stage|beta|alpha|rc|live|unstable|snapshot|testing|test|preview|latest-[\w.-]+|[\w.-]+-latest)$/i;

/** The parts of an image's name. */
export interface ImageName {
  readonly registry: string;
  /** The part between registry and name; empty for an official image. */
  readonly owner: string;
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** Parses `registry/owner/name:tag@digest`; undefined if it depends on a variable without a default. */
export function imageName(written: string): ImageName | undefined {
  const given = resolvedText(written.replace(/^(["'])(.*)\1$/, "$2"));
  if (given === undefined || !/^[\w./:@-]+$/.test(given) || given === "") return undefined;
  const [whole = "", digest] = given.split("@");
  const tag = /:([^/:]+)$/.exec(whole)?.[1];
  const parts = (tag === undefined ? whole : whole.slice(0, -tag.length - 1)).split("/");
  const [first = "", ...rest] = parts;
  const hasRegistry = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const path = hasRegistry ? rest : parts;
  return {
    registry: hasRegistry ? first : "docker.io",
    owner: path.slice(0, -1).join("/").toLowerCase(),
    name: (path.at(-1) ?? "").toLowerCase(),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** Whether a name can refer to a different image later. */
export function isMovingTag({ tag, digest }: ImageName): boolean {
  return digest === undefined && (tag === undefined || MOVING.test(tag));
}

/** What identifies a repository's own images. */
export interface Ownership {
  /** Names that it builds or pushes, without registry and tag. */
  readonly built: ReadonlySet<string>;
  /** Owners of those names, and of its remotes. */
  readonly owners: ReadonlySet<string>;
  /** Whether it has a Dockerfile. An unknown image may then be its own. */
  readonly hasDockerfile: boolean;
}

/** Whether an image is built from this repository, or by its owner. */
export function isOwn(image: ImageName, { built, owners, hasDockerfile }: Ownership): boolean {
  // A copy of nginx in a registry of one's own does not make nginx one's own.
  const isOfficial = image.owner === "" && SHARED.test(image.registry) && THIRD_PARTY_NAMES.test(image.name);
  if (built.has(posix.join(image.owner, image.name))) return !isOfficial;
  const [owner = ""] = image.owner.split("/");
  if (owner !== "" && owners.has(owner)) return true;
  if (owner === "" && SHARED.test(image.registry)) return false;
  if (THIRD_PARTY_NAMES.test(image.name) || THIRD_PARTY_OWNERS.test(owner)) return false;
  if (THIRD_PARTY_REGISTRIES.test(image.registry)) return false;
  // A private registry.
  if (!SHARED.test(image.registry)) return true;
  if (owners.size > 0 && built.size > 0) return false;
  return ROLE.test(image.name) && (image.registry === "ghcr.io" || hasDockerfile);
}

/** Derives the ownership of images from the repository's image names and remotes. */
export function ownershipOf(
  tags: readonly string[],
  remotes: readonly string[],
  hasDockerfile: boolean,
): Ownership {
  const names = tags.flatMap((tag) => imageName(tag) ?? []);
  return {
    built: new Set(names.map(({ owner, name }) => posix.join(owner, name))),
    owners: new Set([
      ...names.flatMap(({ owner }) => (owner === "" ? [] : [textBefore(owner, "/")])),
      ...remotes,
    ]),
    hasDockerfile,
  };
}
