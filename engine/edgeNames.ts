/**
 * Caddy 2.11 reads `{file.…}` in an upstream's address at each request, so that a switch is a rename without
 * a reload.
 */
export const EDGE_IMAGE = "caddy:2.11";

/**
 * Name of the manager's edge in the cluster's network, and the port where edges report which release they
 * serve. That port is never published, and nothing on it is secret.
 */
export const EDGE_ALIAS = "edge";

/** Root certificate of the edge's own authority. Caddy creates it when a configuration first needs it. */
export const ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt";

/** The edge's configuration file, in its volume. */
export const CADDYFILE = "/edge/Caddyfile";

/** The kept releases as JSON, for operators who have the server but not the stack's state. */
export const RELEASES_FILE = "/edge/releases.json";

/** Asset folders of the edge: `kept/RELEASE/PATH`, and the merged folder that it serves. */
export const ASSETS_FOLDER = "/edge/assets";

/**
 * File with the name of the served folder, replaced by rename. Before the first release it names a folder
 * that does not exist.
 */
export const ASSETS_ROOT_FILE = `${ASSETS_FOLDER}/root`;
export const EDGES_PORT = 81;
export const EDGES_PATH = "/.freshness/edge";

/** File of a follower: the release that it serves, and its connections as the kernel lists them. */
export const CONNECTIONS_FILE = "/edge/connections";

/** The name of one of several containers of a service. No service's name has a dot. */
export function replicaName(service: string, replica: number | undefined): string {
  return replica === undefined ? service : `${service}.${replica}`;
}
