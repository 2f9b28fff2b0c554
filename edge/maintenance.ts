import type { DockerEngine } from "../engine/docker";
import { loadCaddyfile, MAINTENANCE } from "../engine/edgeFiles";
import { OWN_PATHS } from "./siteKeys";

/** The page in the edge's volume. Caddy reads a file in an answer up to 1 MiB. */
const PAGE_FILE = "/edge/maintenance.html";
/** How many bytes a page may have. */
export const MOST_PAGE_BYTES = 1_000_000;
const END = "\t# maintenance ends\n";

/** What is served where the stack has no page of its own. */
export const DEFAULT_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Down for maintenance</title>
<body style="font-family: sans-serif; max-width: 40rem; margin: 20vh auto; padding: 0 1rem">
<h1>Down for maintenance</h1>
<p>This site is being worked on. Please try again in a few minutes.</p>
</body>
</html>
`;

/** Takes what answers 503 out of an edge's configuration. */
export function withoutMaintenance(caddyfile: string): string {
  const begin = caddyfile.indexOf(MAINTENANCE);
  const end = caddyfile.indexOf(END);
  return begin < 0 || end < begin ? caddyfile : caddyfile.slice(0, begin) + caddyfile.slice(end + END.length);
}

/**
 * Lets an edge's configuration answer 503 to everything but the version paths, by which the release is still proven. The path is
 * rewritten first: Caddy tries a handler with one path before any other.
 *
 * @param retryAfter seconds
 */
export function withMaintenance(caddyfile: string, retryAfter: number): string {
  const plain = withoutMaintenance(caddyfile);
  const block = `${MAINTENANCE}	@maintenance not path ${OWN_PATHS}
	rewrite @maintenance /.maintenance
	handle /.maintenance {
		header Retry-After ${retryAfter}
		header Cache-Control no-store
		header Content-Type "text/html; charset=utf-8"
		respond "{file.${PAGE_FILE}}" 503
	}
${END}`;
  // The first site after the global options is the public one.
  const site = /^\}\n+[^\n{}]+ \{\n/m.exec(plain);
  if (!site) throw new Error("the edge's configuration has no site");
  const at = site.index + site[0].length;
  return plain.slice(0, at) + block + plain.slice(at);
}

/** Lets an edge answer 503 with a page. */
export async function beginMaintenance(
  engine: DockerEngine,
  edge: string,
  {
    page,
    retryAfter,
    caddyfile,
  }: { readonly page: string; readonly retryAfter: number; readonly caddyfile: string },
): Promise<void> {
  await engine.replaceFile(edge, PAGE_FILE, page);
  await loadCaddyfile(engine, edge, withMaintenance(caddyfile, retryAfter));
}

/** Lets an edge serve its release again. */
export async function endMaintenance(engine: DockerEngine, edge: string, caddyfile: string): Promise<void> {
  await loadCaddyfile(engine, edge, withoutMaintenance(caddyfile));
}
