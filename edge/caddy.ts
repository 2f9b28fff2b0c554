import type { DeployConfig, ServiceConfig } from "../config";
import { ASSETS_ROOT_FILE, CONNECTIONS_FILE, EDGE_ALIAS, EDGES_PATH, EDGES_PORT } from "../engine/edgeNames";
import { KEPT_HEADER } from "../freshness/browser";
import { UPSTREAM_HEADER } from "../freshness/served";

/** What the edge needs to know of a service. */
export type Route = Pick<ServiceConfig, "name" | "port" | "route" | "version" | "assets" | "stripPrefix">;

/** Where the edge answers. */
export interface Site {
  readonly domain?: string;
  /** Whether the edge's own authority signs the domain's certificate. */
  readonly tls?: DeployConfig["tls"];
  /** Whose X-Forwarded-* headers are passed on. */
  readonly trustedProxies?: DeployConfig["trustedProxies"];
}

const GLOBAL = ["admin localhost:2019", "persist_config off", "grace_period 10s"];

/** Proxies in front are told by one global option, which is absent where there are none: their edges' files stay as they are. */
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

/** A version is read; nothing else is done at its path. */
const ONLY_READ = `	@writes {
		path /.freshness /.freshness/*
		not method GET HEAD
	}
	handle @writes {
		header Allow "GET, HEAD"
		respond 405
	}`;

/** The configuration before the first release: nothing is served, and that is said. */
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
 * @param site the domain; without one every name on port 80
 * @param releaseFile the file that names the release all upstreams belong to; all switch at once
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

/** The configuration of an edge on another node: the same, but that the kept assets are the manager's edge's. */
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

/** What a follower serves before it was led to a release. */
export function followersWaitingCaddyfile(): string {
  return `${waitingCaddyfile()}${CONNECTIONS_SITE}`;
}

/**
 * What the manager's edge tells those that follow it, in one answer: in its first line the release file and what that says, `-`
 * for none, then their configuration. The file that switches this edge switches them.
 *
 * @param followersFile the file that holds their configuration
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

/** Where a follower tells what it leads to. */
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

/** All that a site answers. */
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
  // The longest prefix first: handle blocks are tried in the order they are written.
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

/** What a release does not have may be a page's that was loaded before it. */
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

/** The app does not see its route, where it asks for that. */
function stripped({ route, stripPrefix }: Route): string {
  return stripPrefix ? `uri strip_prefix ${route}\n\t\t` : "";
}

function prefixed({ route, stripPrefix }: Route): string[] {
  return stripPrefix ? [`header_up X-Forwarded-Prefix ${route}`] : [];
}

/** A dial that fails is tried again for a moment: a container that restarts is not an outage. */
function proxy(service: Route, releaseFile: string, ...more: string[]): string {
  // A connection that nothing is asked over goes soon: a deploy waits until the containers that go have none, and a new one to a
  // neighbour takes a fraction of a millisecond.
  const transport = "transport http {\n\t\t\t\tkeepalive 250ms\n\t\t\t}";
  const options = ["lb_try_duration 2s", "lb_try_interval 100ms", transport, ...more];
  return `reverse_proxy ${service.name}-{file.${releaseFile}}:${service.port} {
${options.map((option) => `			${option}`).join("\n")}
		}`;
}
