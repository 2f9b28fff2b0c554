import type { DeployConfig, ServiceConfig } from "../config/types";
import {
  ASSETS_ROOT_FILE,
  CONNECTIONS_FILE,
  EDGE_ALIAS,
  EDGES_PATH,
  EDGES_PORT,
  replicaName,
} from "../engine/edgeNames";
import { KEPT_HEADER } from "../freshness/browser";
import { UPSTREAM_HEADER } from "../freshness/served";
import { proofPath } from "../freshness/served/upstream";
import {
  answerLimit,
  keylessLines,
  OWN_PATHS,
  type SiteKeys,
  siteLines,
  timeoutLines,
  withExtra,
} from "./siteKeys";

/** The keys of a service that are part of its route. */
export const ROUTE_KEYS = [
  "name",
  "port",
  "route",
  "version",
  "assets",
  "stripPrefix",
  "hosts",
] as const satisfies readonly (keyof ServiceConfig)[];

/** What the edge needs to know about a service. */
export type Route = Pick<ServiceConfig, (typeof ROUTE_KEYS)[number]> &
  Partial<Pick<ServiceConfig, "health">> & {
    /** How many containers of it the edge balances over. Default: 1. */
    readonly upstreams?: number;
  };

/** The address of the edge. */
export interface Site extends SiteKeys {
  readonly domain?: string;
  /** Whether the edge's own authority signs the domain's certificate. */
  readonly tls?: DeployConfig["tls"];
  /** Proxies whose X-Forwarded-* headers the edge passes on. */
  readonly trustedProxies?: DeployConfig["trustedProxies"];
  /** Whether a front connects to the edge, whose own hop is no part of what apps see. */
  readonly isBehind?: boolean;
  /** The edge's memory in MiB, by which it limits how many requests are under way at once. Default: 256. */
  readonly memoryMb?: number;
}

const GLOBAL = ["admin localhost:2019", "persist_config off", "grace_period 10s"];

/** The time that a client has for its headers and between requests, and how long headers may be. */
function patience(site: Pick<Site, "timeouts">): string[] {
  const timeouts = timeoutLines(site).map((line) => `\t${line}`);
  return ["timeouts {", ...timeouts, "}", "max_header_size 32KiB"];
}

export function servers(site: Pick<Site, "timeouts" | "trustedProxies">): string {
  const { trustedProxies = [] } = site;
  const trusted = trustedProxies.length === 0 ? [] : [`trusted_proxies static ${trustedProxies.join(" ")}`];
  const lines = [...patience(site), ...trusted].map((line) => `\t\t${line}\n`).join("");
  return `servers {\n${lines}\t}`;
}

export function globalOptions(...more: string[]): string {
  return `{\n${[...GLOBAL, ...more].map((option) => `\t${option}\n`).join("")}}\n`;
}

const UNKNOWN = `		handle {
			respond 404
		}
	}`;

/** These paths accept only GET and HEAD. One matcher keeps all other requests cheap. */
const OWN_ROUTES = `	@freshness path ${OWN_PATHS}
	handle @freshness {`;
const ONLY_READ = `
		@writes not method GET HEAD
		handle @writes {
			header Allow "GET, HEAD"
			respond 405
		}`;

/** A WebSocket, and whatever else stays open for as long as the app likes. */
export const UPGRADES = "\t@upgrade header Upgrade *";

/** The configuration before the first release: every request gets status 503. */
export function waitingCaddyfile(): string {
  return `${globalOptions()}
http:// {
	respond "No release is served yet." 503
}
`;
}

/**
 * The edge's configuration: `/.freshness/SERVICE` → the service's version path, each route → its service.
 *
 * @param site the domain; without one, any name on port 80
 * @param releaseFile the file with the name of the current release, which is part of all upstreams; one rename switches
 * them all
 */
export function caddyfile(services: readonly Route[], site: Site, releaseFile: string): string {
  const { domain, tls } = site;
  const own = tls === "internal";
  return `${globalOptions(...(own ? ["skip_install_trust"] : []), servers(site))}
${domain === undefined ? "http://" : namesOf(services, site).join(", ")} {
${[...(own ? ["\ttls internal"] : []), ...namesLine(services, site), ...handlers(services, releaseFile, KEPT_ASSETS, site)].join("\n")}
}
`;
}

/** The names of a site behind a front. The comment lets other names count as a new site, which may need certificates first. */
function namesLine(services: readonly Route[], site: Site): string[] {
  const { isBehind, publicUrl } = site;
  if (!isBehind || publicUrl === undefined) return [];
  return [`\t# ${[...new Set([new URL(publicUrl).hostname, ...namesOf(services, site)])].join(", ")}`];
}

/** All names that the edge has certificates for: the site's, those that redirect, those of services. */
function namesOf(services: readonly Route[], { domain, domains, redirects = [] }: Site): string[] {
  const own = domains ?? (domain === undefined ? [] : [domain]);
  const redirecting = redirects.flatMap(({ host }) => host ?? []);
  return [...new Set([...own, ...redirecting, ...services.flatMap(({ hosts = [] }) => hosts)])];
}

/** The configuration of an edge on another node: the same, but the manager's edge serves the kept assets. */
export function followersCaddyfile(services: readonly Route[], releaseFile: string, site: Site = {}): string {
  const followed = { ...site, memoryMb: OF_FOLLOWERS_MB };
  return `${globalOptions(servers(site))}
http:// {
${handlers(services, releaseFile, KEPT_AT_MANAGER, followed).join("\n")}
}
${CONNECTIONS_SITE}`;
}

/** The configuration of a follower before its first release. */
export function followersWaitingCaddyfile(): string {
  return `${waitingCaddyfile()}${CONNECTIONS_SITE}`;
}

/**
 * The answer of the manager's edge to its followers: the first line has the release file and its content, `-` for none;
 * the rest is their configuration. The file that switches this edge switches the followers.
 *
 * @param followersFile the file with their configuration
 */
export function leadSite(releaseFile: string | undefined, followersFile: string): string {
  const leads = releaseFile === undefined ? "- -" : `${releaseFile} {file.${releaseFile}}`;
  return `
http://:${EDGES_PORT} {
	handle ${EDGES_PATH} {
		respond * "${leads}
{file.${followersFile}}"
	}
	handle {
		${KEPT_ASSETS.join("\n\t\t")}
	}
}
`;
}

/** Where a follower reports which release it serves. */
const CONNECTIONS_SITE = `
http://:${EDGES_PORT} {
	handle ${EDGES_PATH} {
		root * /
		rewrite * ${CONNECTIONS_FILE}
		file_server
	}
	handle {
		respond 404
	}
}
`;

/** The memory of an edge on another node of a Swarm, in MiB. */
export const OF_FOLLOWERS_MB = 256;

/** All handlers of a site. */
function handlers(
  services: readonly Route[],
  releaseFile: string,
  kept: readonly string[],
  site: Site,
): string[] {
  const { memoryMb = OF_FOLLOWERS_MB } = site;
  const limit = answerLimit(site);
  const hidden = site.isBehind ? WITHOUT_FRONT : [];
  const reachable = services.filter((service) => service.port !== undefined);
  const proofs = reachable.flatMap((service) =>
    [undefined, ...replicasOf(service)].map(
      (
        replica,
      ) => `		@proof-${replicaName(service.name, replica)} path /.freshness/${replicaName(service.name, replica)}
		handle @proof-${replicaName(service.name, replica)} {
			rewrite * ${proofPath(service)}
			${proofProxy(service, releaseFile, replica)}
			header Cache-Control no-store
		}`,
    ),
  );
  // Longest prefix first: Caddy tries handle blocks in order.
  const routed = reachable
    .flatMap(({ route, ...service }) => (route === undefined ? [] : [{ ...service, route }]))
    .sort((a, b) => b.route.length - a.route.length);
  const taken = [...new Set(reachable.flatMap(({ hosts = [] }) => hosts))];
  const routes = routed.map((service) => {
    const isRoot = service.route === "/";
    const handle = handleOf(
      `@${service.name}`,
      isRoot ? "" : `${service.route} ${service.route}/*`,
      service,
      taken,
    );
    const rest = isRoot ? "" : stripped(service);
    const more = [...hidden, ...(isRoot ? [] : prefixed(service))];
    return `${handle} {
		${rest}${proxies(service, releaseFile, memoryMb, limit, more)}
	}`;
  });
  const assets = reachable.flatMap((service) =>
    Object.keys(service.assets).map((path, index) => {
      const handle = handleOf(`@assets-${service.name}-${index}`, `${path}/*`, service, taken);
      const isBelow = path.startsWith(`${service.route}/`);
      const gone = `handle_response @gone {\n\t\t\t\t${kept.join("\n\t\t\t\t")}\n\t\t\t}`;
      const more = [...hidden, ...(isBelow ? prefixed(service) : []), "@gone status 404", gone];
      return `${handle} {
		${isBelow ? stripped(service) : ""}${proxy(service, releaseFile, mostRequests(memoryMb), limit, more)}
	}`;
    }),
  );
  // Without hosts a service with the route "/" answers all else.
  const others = taken.length > 0 ? ["	handle {\n\t\trespond 404\n\t}"] : [];
  const all = [...assets, ...routes, ...others];
  return [
    ...siteLines(site),
    UPGRADES,
    `${OWN_ROUTES}${keylessLines(site)}${ONLY_READ}`,
    ...proofs,
    UNKNOWN,
    ...withExtra(site.extra, all),
  ];
}

/**
 * The beginning of a block for the requests of a service: its paths, on its own hosts. One without hosts answers on all but those of
 * others.
 *
 * @param taken the hosts of all services
 */
function handleOf(name: string, paths: string, { hosts = [] }: Route, taken: readonly string[]): string {
  const host =
    hosts.length > 0 ? [`host ${hosts.join(" ")}`] : taken.length > 0 ? [`not host ${taken.join(" ")}`] : [];
  const lines = [...host, ...(paths === "" ? [] : [`path ${paths}`])];
  if (lines.length === 0) return "\thandle";
  const matcher = lines.length === 1 ? lines[0] : `{\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}`;
  return `\t${name} ${matcher}\n\thandle ${name}`;
}

/** A page loaded before the release may ask for a file that the release lacks. */
const KEPT_ASSETS = [
  `root * {file.${ASSETS_ROOT_FILE}}`,
  "@kept file",
  "handle @kept {",
  '	header Cache-Control "public, max-age=31536000, immutable"',
  `	header ${KEPT_HEADER} true`,
  "	file_server",
  "}",
  "handle {",
  "	respond 404",
  "}",
];

const KEPT_AT_MANAGER = [
  `reverse_proxy ${EDGE_ALIAS}:${EDGES_PORT} {`,
  "	transport http {",
  "		dial_timeout 1s",
  "	}",
  "}",
];

/** Caddy adds whoever connects: an app that counts the proxies before it counts as without a front. */
const WITHOUT_FRONT = [`header_up X-Forwarded-For ", [^,]*$" ""`];

/** With stripPrefix the app does not see its route. */
function stripped({ route, stripPrefix }: Route): string {
  return stripPrefix ? `uri strip_prefix ${route}\n\t\t` : "";
}

function prefixed({ route, stripPrefix }: Route): string[] {
  return stripPrefix ? [`header_up X-Forwarded-Prefix ${route}`] : [];
}

/**
 * How many requests to one service are under way at once, at most. More WebSockets than this are answered with 503; other requests
 * wait for a place, of which some are out of reach of WebSockets. Both are below what the edge's open files allow.
 */
export const UPGRADES_A_MB = 7;
export const REQUESTS_A_MB = 7.5;

function mostUpgrades(memoryMb: number): string {
  return `unhealthy_request_count ${Math.floor(memoryMb * UPGRADES_A_MB)}`;
}
function mostRequests(memoryMb: number): string {
  return `unhealthy_request_count ${Math.floor(memoryMb * REQUESTS_A_MB)}`;
}

/**
 * What cannot be sent to the app is tried again: a machine that is busy, or a container that restarts, makes people wait.
 *
 * What was sent and got no answer may have been done. It is sent again only where it changes nothing, and where the app broke it
 * off soon: a request that ends the app would end it for as long as it is sent.
 */
export const WAITING = [
  "lb_try_duration 20s",
  "lb_try_interval 250ms",
  "lb_retry_match {",
  "\tmethod GET HEAD OPTIONS",
  "\texpression `{http.request.duration_ms} < 3000.0`",
  "}",
];
/** A place for a WebSocket is waited for shortly; its client tries again by itself. */
export const UPGRADING = ["lb_try_duration 20s", "lb_retries 8", "lb_try_interval 250ms"];
/** A version's answer says nothing about the app but its commit. */
const TELLING = ["header_down -Server", "header_down -X-Powered-By", "header_down -Set-Cookie"];
/** A proof is to fail in time. */
const PROVING = ["lb_try_duration 2s", "lb_try_interval 100ms"];

/**
 * The connections to a service. One that nothing is asked over goes soon: a deploy waits until the containers that go have none, and
 * a new one to a neighbour takes a fraction of a millisecond. What the client did not ask to be compressed the app is not asked to
 * compress.
 *
 * @param more further options
 */
export function transport(more: readonly string[]): string[] {
  return ["transport http {", "\tkeepalive 250ms", "\tcompression off", ...more, "}"];
}

/** A route's WebSockets, and the rest of it. */
function proxies(
  service: Route,
  releaseFile: string,
  memoryMb: number,
  limit: readonly string[],
  more: readonly string[],
): string {
  const upgrades = [...UPGRADING, mostUpgrades(memoryMb), ...transport(limit), ...more];
  return `${proxyTo("@upgrade ", service, releaseFile, upgrades)}
		${proxy(service, releaseFile, mostRequests(memoryMb), limit, more)}`;
}

function proxy(
  service: Route,
  releaseFile: string,
  most: string,
  limit: readonly string[],
  more: readonly string[],
): string {
  return proxyTo("", service, releaseFile, [...WAITING, ...transport(limit), most, ...more]);
}

/** The numbers of a service's containers, if the edge balances over several. */
function replicasOf({ upstreams = 1 }: Route): number[] {
  return upstreams === 1 ? [] : Array.from({ length: upstreams }, (_, at) => at + 1);
}

function proofProxy(service: Route, releaseFile: string, replica?: number): string {
  const tells = `header_down ${UPSTREAM_HEADER} {http.reverse_proxy.upstream.hostport}`;
  return proxyTo("", service, releaseFile, [...PROVING, ...transport([]), ...TELLING, tells], replica);
}

/** @param replica the only container that is asked; absent: all of the service's */
function proxyTo(
  matcher: string,
  service: Route,
  releaseFile: string,
  own: readonly string[],
  replica?: number,
): string {
  const all = replica === undefined ? replicasOf(service) : [replica];
  const names = all.length === 0 ? [service.name] : all.map((each) => replicaName(service.name, each));
  const upstreams = names.map((name) => `${name}-{file.${releaseFile}}:${service.port}`).join(" ");
  const options = names.length === 1 ? own : ["lb_policy least_conn", ...own];
  return `reverse_proxy ${matcher}${upstreams} {
${options.map((option) => `			${option}`).join("\n")}
		}`;
}
