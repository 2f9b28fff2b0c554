import type { DeployConfig, ServiceConfig } from "../config";
import { ASSETS_ROOT_FILE, CONNECTIONS_FILE, EDGE_ALIAS, EDGES_PATH, EDGES_PORT } from "../engine/edgeNames";
import { KEPT_HEADER } from "../freshness/browser";
import { UPSTREAM_HEADER } from "../freshness/served";

/** What the edge needs to know about a service. */
export type Route = Pick<ServiceConfig, "name" | "port" | "route" | "version" | "assets" | "stripPrefix">;

/** The address of the edge. */
export interface Site {
  readonly domain?: string;
  /** Whether the edge's own authority signs the domain's certificate. */
  readonly tls?: DeployConfig["tls"];
  /** Proxies whose X-Forwarded-* headers the edge passes on. */
  readonly trustedProxies?: DeployConfig["trustedProxies"];
}

const GLOBAL = ["admin localhost:2019", "persist_config off", "grace_period 10s"];

/**
 * Proxies in front need a global option. Without proxies it is absent, so that such an edge's file does not change.
 */
function trusting({ trustedProxies = [] }: Pick<Site, "trustedProxies">): string[] {
  return trustedProxies.length === 0
    ? []
    : [`servers {\n\t\ttrusted_proxies static ${trustedProxies.join(" ")}\n\t}`];
}

function globalOptions(...more: string[]): string {
  return `{\n${[...GLOBAL, ...more].map((option) => `\t${option}\n`).join("")}}\n`;
}

const UNKNOWN = `	@unknown path /.freshness /.freshness/*
	handle @unknown {
		respond 404
	}`;

/** A version path allows reading only. */
const ONLY_READ = `	@writes {
		path /.freshness /.freshness/*
		not method GET HEAD
	}
	handle @writes {
		header Allow "GET, HEAD"
		respond 405
	}`;

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
  return `${globalOptions(...(own ? ["skip_install_trust"] : []), ...trusting(site))}
${domain ?? "http://"} {
${[...(own ? ["\ttls internal"] : []), ...handlers(services, releaseFile, KEPT_ASSETS)].join("\n")}
}
`;
}

/** The configuration of an edge on another node: the same, but the manager's edge serves the kept assets. */
export function followersCaddyfile(
  services: readonly Route[],
  releaseFile: string,
  site: Pick<Site, "trustedProxies"> = {},
): string {
  return `${globalOptions(...trusting(site))}
http:// {
${handlers(services, releaseFile, KEPT_AT_MANAGER).join("\n")}
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

/** All handlers of a site. */
function handlers(services: readonly Route[], releaseFile: string, kept: readonly string[]): string[] {
  const reachable = services.filter((service) => service.port !== undefined);
  const proofs = reachable.map(
    (service) => `	@proof-${service.name} path /.freshness/${service.name}
	handle @proof-${service.name} {
		rewrite * ${service.version}
		${proxy(service, releaseFile, `header_down ${UPSTREAM_HEADER} {http.reverse_proxy.upstream.hostport}`)}
		header Cache-Control no-store
	}`,
  );
  // Longest prefix first: Caddy tries handle blocks in order.
  const routed = reachable
    .filter((service) => service.route !== undefined)
    .sort((a, b) => b.route!.length - a.route!.length);
  const routes = routed.map((service) =>
    service.route === "/"
      ? `	handle {
		${proxy(service, releaseFile)}
	}`
      : `	@${service.name} path ${service.route} ${service.route}/*
	handle @${service.name} {
		${stripped(service)}${proxy(service, releaseFile, ...prefixed(service))}
	}`,
  );
  const assets = reachable.flatMap((service) =>
    Object.keys(service.assets).map((path, index) => {
      const name = `@assets-${service.name}-${index}`;
      const isBelow = path.startsWith(`${service.route}/`);
      return `	${name} path ${path}/*
	handle ${name} {
		${isBelow ? stripped(service) : ""}${proxy(service, releaseFile, ...(isBelow ? prefixed(service) : []), "@gone status 404", `handle_response @gone {\n\t\t\t\t${kept.join("\n\t\t\t\t")}\n\t\t\t}`)}
	}`;
    }),
  );
  return [ONLY_READ, ...proofs, UNKNOWN, ...assets, ...routes];
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

/** With stripPrefix the app does not see its route. */
function stripped({ route, stripPrefix }: Route): string {
  return stripPrefix ? `uri strip_prefix ${route}\n\t\t` : "";
}

function prefixed({ route, stripPrefix }: Route): string[] {
  return stripPrefix ? [`header_up X-Forwarded-Prefix ${route}`] : [];
}

/** Retry failed dials for a moment: a container that restarts is not an outage. */
function proxy(service: Route, releaseFile: string, ...more: string[]): string {
  // Close idle connections soon: a deploy waits until the old containers have none. A new connection takes a fraction
  // of a millisecond.
  const transport = "transport http {\n\t\t\t\tkeepalive 250ms\n\t\t\t}";
  const options = ["lb_try_duration 2s", "lb_try_interval 100ms", transport, ...more];
  return `reverse_proxy ${service.name}-{file.${releaseFile}}:${service.port} {
${options.map((option) => `			${option}`).join("\n")}
		}`;
}
