import type { DeployConfig } from "../config/types";
import { siteAlias } from "../freshness/served/front";
import {
  globalOptions,
  REQUESTS_A_MB,
  servers,
  transport,
  UPGRADES,
  UPGRADES_A_MB,
  UPGRADING,
  WAITING,
} from "./caddy";
import { LIMIT_FILES } from "./size";

/** Where the front asks itself whether a name is one of a stack, before it gets a certificate. */
const ASK = "127.0.0.1:82";

/** The host name of a request names the edge: Docker's DNS is the table of routes. */
const SITE = `${siteAlias("{http.request.host}")}:80`;

/**
 * The configuration of a front. It has nothing of any stack, so that it never changes.
 *
 * @param front whether it has certificates; `tls` says who signs them
 */
export function frontCaddyfile({
  front,
  tls,
  trustedProxies,
}: Pick<DeployConfig, "front" | "tls" | "trustedProxies">): string {
  const own = tls === "internal" ? ["skip_install_trust"] : [];
  if (front === "http") return `${globalOptions(servers({ trustedProxies }))}http:// {\n${PROXIES}\n}\n`;
  return `${globalOptions(...own, `on_demand_tls {\n\t\task http://${ASK}/\n\t}`, servers({ trustedProxies }))}
https:// {
	tls ${tls === "internal" ? "internal " : ""}{
		on_demand
	}
${PROXIES}
}
http:// {
	redir https://{http.request.host}{http.request.uri} 308
}
http://${ASK} {
	bind 127.0.0.1
	reverse_proxy ${siteAlias("{http.request.uri.query.domain}")}:80 {
		rewrite /.freshness/
		@any status 1xx 2xx 3xx 4xx 5xx
		handle_response @any {
			respond 200
		}
	}
}
`;
}

function proxy(matcher: string, options: readonly string[]): string {
  return `\treverse_proxy ${matcher}${SITE} {\n${options.map((option) => `\t\t${option}\n`).join("")}\t}`;
}

/** The limits are for all stacks together; `START_FRONT` works them out. */
const PROXIES = [
  UPGRADES,
  proxy("@upgrade ", [...UPGRADING, "unhealthy_request_count {$UPGRADES}", ...transport([])]),
  proxy("", [...WAITING, "unhealthy_request_count {$REQUESTS}", ...transport([])]),
].join("\n");

/** Starts the Caddy of a front. Its memory limits how many requests are under way at once, as in caddy.ts. */
export const START_FRONT = `printf '%s' "$CONFIGURATION" > /tmp/Caddyfile
${LIMIT_FILES}
mb=256
case $bytes in *[!0-9]* | '') ;; *) mb=$((bytes / 1048576));; esac
export UPGRADES=$((mb * ${UPGRADES_A_MB * 10} / 10)) REQUESTS=$((mb * ${REQUESTS_A_MB * 10} / 10))
exec caddy run --config /tmp/Caddyfile --adapter caddyfile`;
