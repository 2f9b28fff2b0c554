/** Caddy 2.11 reads `{file.…}` in an upstream's address at each request: a switch is a rename, not a reload. */
export const EDGE_IMAGE = "caddy:2.11";

/**
 * The manager's edge as the followers find it in the cluster's network, and where edges tell each other what they lead to. That
 * port is never published, and nothing that it tells is secret.
 */
export const EDGE_ALIAS = "edge";

/** The certificate of the edge's own authority, made when a configuration first needs it. */
export const ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt";

/** The edge's configuration, in its volume. */
export const CADDYFILE = "/edge/Caddyfile";

/** The kept releases as JSON, for whoever has the server and not the stack's state. */
export const RELEASES_FILE = "/edge/releases.json";

/** Where the edge keeps assets: `kept/RELEASE/PATH`, and what is served of all of them together. */
export const ASSETS_FOLDER = "/edge/assets";

/** Names the folder that is served, replaced by rename; before the first release, one that does not exist. */
export const ASSETS_ROOT_FILE = `${ASSETS_FOLDER}/root`;
export const EDGES_PORT = 81;
export const EDGES_PATH = "/.freshness/edge";

/** What a follower tells there: the release that it leads to, and its connections as the kernel lists them. */
export const CONNECTIONS_FILE = "/edge/connections";
