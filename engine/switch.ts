import { createHash } from "node:crypto";
import { CADDYFILE, caddyfile, type Route } from "./caddy";
import type { DockerEngine } from "./docker";

/** Where the edge leads: its configuration and the release that the configuration's file names. */
export interface EdgeState {
  readonly caddyfile: string;
  readonly releaseFile: string;
  readonly release: string;
}

/** The state that leads to a release. */
export function edgeState(
  services: readonly Route[],
  domain: string | undefined,
  release: string,
): EdgeState {
  const site = domain ?? "http://";
  const routes = createHash("sha256")
    .update(caddyfile(services, site, ""))
    .digest("hex")
    .slice(0, 12);
  // Routes have a release file of their own: changed routes and the release they need come in one reload.
  const releaseFile = `/edge/release-${routes}`;
  return { caddyfile: caddyfile(services, site, releaseFile), releaseFile, release };
}

/** Reads where the edge leads now; undefined before the first release. */
export async function readEdge(engine: DockerEngine, edge: string): Promise<EdgeState | undefined> {
  const current = await engine.readFile(edge, CADDYFILE);
  const releaseFile = /\{file\.(\/edge\/release-[0-9a-f]+)\}/.exec(current ?? "")?.[1];
  if (current === undefined || releaseFile === undefined) return undefined;
  const release = await engine.readFile(edge, releaseFile);
  return release === undefined ? undefined : { caddyfile: current, releaseFile, release };
}

/** Leads the edge elsewhere: by one rename where the routes stay, by a reload where they change. */
export async function leadEdge(
  engine: DockerEngine,
  edge: string,
  from: EdgeState | undefined,
  to: Pick<EdgeState, "caddyfile"> & Partial<EdgeState>,
): Promise<void> {
  if (to.releaseFile !== undefined && to.release !== undefined)
    await engine.replaceFile(edge, to.releaseFile, to.release);
  if (from?.caddyfile === to.caddyfile) return;
  await engine.replaceFile(edge, CADDYFILE, to.caddyfile);
  await engine.docker(["exec", edge, "caddy", "reload", "--config", CADDYFILE, "--adapter", "caddyfile"]);
}
