import type { DeployConfig, ServiceConfig } from "../config";
import { KEPT_HEADER } from "../freshness/browser";
import { UPSTREAM_HEADER } from "../freshness/served";

/** Caddy 2.11 reads `{file.…}` in an upstream's address at each request: a switch is a rename, not a reload. */
export const EDGE_IMAGE = "caddy:2.11";
/** The edge's configuration, in its volume. */
export const CADDYFILE = "/edge/Caddyfile";

/** The kept releases as JSON, for whoever has the server and not the stack's state. */
export const RELEASES_FILE = "/edge/releases.json";
/** Where the edge keeps assets: `kept/RELEASE/PATH`, and what is served of all of them together. */
export const ASSETS_FOLDER = "/edge/assets";
/** Names the folder that is served, replaced by rename; before the first release, one that does not exist. */
export const ASSETS_ROOT_FILE = `${ASSETS_FOLDER}/root`;

/** What the edge needs to know of a service. */
export type Route = Pick<ServiceConfig, "name" | "port" | "route" | "version" | "assets">;

/** Where the edge answers. */
export interface Site {
  readonly domain?: string;
  /** Whether the edge's own authority signs the domain's certificate. */
  readonly tls?: DeployConfig["tls"];
}

/** The certificate of the edge's own authority, made when a configuration first needs it. */
export const ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt";

const GLOBAL = ["admin localhost:2019", "persist_config off", "grace_period 10s"];

function globalOptions(...more: string[]): string {
  return `{\n${[...GLOBAL, ...more].map((option) => `\t${option}\n`).join("")}}\n`;
}

const UNKNOWN = `	@unknown path /.freshness /.freshness/*
	handle @unknown {
		respond 404
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
export function caddyfile(services: readonly Route[], { domain, tls }: Site, releaseFile: string): string {
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
		${proxy(service, releaseFile)}
	}`,
  );
  const assets = reachable.flatMap((service) =>
    Object.keys(service.assets).map((path, index) => {
      const name = `@assets-${service.name}-${index}`;
      return `	${name} path ${path}/*
	handle ${name} {
		${proxy(service, releaseFile, ...KEPT_ASSETS)}
	}`;
    }),
  );
  const own = tls === "internal";
  return `${own ? globalOptions("skip_install_trust") : globalOptions()}
${domain ?? "http://"} {
${[...(own ? ["\ttls internal"] : []), ...proofs, UNKNOWN, ...assets, ...routes].join("\n")}
}
`;
}

/** What a release does not have may be a page's that was loaded before it. */
const KEPT_ASSETS = [
  "@gone status 404",
  `handle_response @gone {
				root * {file.${ASSETS_ROOT_FILE}}
				@kept file
				handle @kept {
					header Cache-Control "public, max-age=31536000, immutable"
					header ${KEPT_HEADER} true
					file_server
				}
				handle {
					respond 404
				}
			}`,
];

/** A dial that fails is tried again for a moment: a container that restarts is not an outage. */
function proxy(service: Route, releaseFile: string, ...more: string[]): string {
  // A connection that nothing is asked over goes soon, so that a container that goes is seen to be free.
  const transport = "transport http {\n\t\t\t\tkeepalive 1s\n\t\t\t}";
  const options = ["lb_try_duration 2s", "lb_try_interval 100ms", transport, ...more];
  return `reverse_proxy ${service.name}-{file.${releaseFile}}:${service.port} {
${options.map((option) => `			${option}`).join("\n")}
		}`;
}
