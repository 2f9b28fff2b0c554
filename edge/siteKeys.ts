import type { RedirectConfig } from "../config/edgeKeys";
import type { DeployConfig } from "../config/types";
import { hashOf } from "../freshness/hash";
import { PROOF_KEY_HEADER } from "../freshness/served/asking";

/** The keys of the configuration that only the edge's own configuration depends on. */
export const EDGE_KEYS = [
  "domains",
  "redirects",
  "headers",
  "compression",
  "basicAuth",
  "freshnessKey",
  "bodyLimit",
  "timeouts",
  "accessLog",
  "extra",
] as const satisfies readonly (keyof DeployConfig)[];

/** What the edge does with requests before it routes them. */
export interface SiteKeys extends Partial<Pick<DeployConfig, (typeof EDGE_KEYS)[number] | "publicUrl">> {}

/** The program's own paths, which no key of a site touches. */
export const OWN_PATHS = "/.freshness /.freshness/*";

/** Seconds that a browser keeps a redirect: one without a limit would outlive the configuration. */
const REDIRECT_SECONDS = 60;

/** Request headers that no access log may contain. Caddy leaves out the first three and Set-Cookie by itself. */
const SENSITIVE = [
  "Authorization",
  "Cookie",
  "Proxy-Authorization",
  "X-Api-Key",
  "X-Auth-Token",
  "X-Csrf-Token",
  PROOF_KEY_HEADER,
];

/**
 * Headers of the preset `security`. An app's own value is kept. HSTS is for HTTPS only, and for this host only: a browser
 * remembers it for a year.
 */
const SECURITY = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "SAMEORIGIN",
  "Referrer-Policy": "strict-origin-when-cross-origin",
};
const HSTS = { "Strict-Transport-Security": "max-age=31536000" };

/** The lines of a site before its routes. */
export function siteLines(keys: SiteKeys): string[] {
  const { redirects = [], headers, compression, basicAuth = {}, freshnessKey, bodyLimit, accessLog } = keys;
  const set = headers === undefined ? [] : headerLines(headers, keys.publicUrl);
  const users = Object.entries(basicAuth);
  const needsOwn = set.length > 0 || bodyLimit !== undefined || compression === true;
  return [
    ...(accessLog ? LOG : []),
    ...(needsOwn ? [`@own not path ${OWN_PATHS}`] : []),
    ...redirects.flatMap(redirectLines),
    ...(set.length > 0 ? ["header @own {", ...set.map(indented), "\tdefer", "}"] : []),
    ...(bodyLimit === undefined ? [] : ["request_body @own {", `\tmax_size ${bodyLimit}`, "}"]),
    ...(compression ? ["encode @own zstd gzip"] : []),
    ...(freshnessKey === undefined ? [] : keyLines(freshnessKey)),
    ...(users.length > 0 ? authLines(users, proofKey(basicAuth, freshnessKey)) : []),
    // Neither a service nor `extra` sees the program's key.
    ...(freshnessKey !== undefined || users.length > 0 ? [`request_header -${PROOF_KEY_HEADER}`] : []),
  ].map(indented);
}

/** Marks requests with the key. The header itself is gone before they are routed. */
function keyLines(key: string): string[] {
  return [`@keyed header ${PROOF_KEY_HEADER} ${key}`, "vars @keyed freshness_key yes"];
}

/** Hides the program's own paths from requests without the key. */
export function keylessLines({ freshnessKey }: SiteKeys): string {
  if (freshnessKey === undefined) return "";
  return "\n\t\t@keyless not vars freshness_key yes\n\t\thandle @keyless {\n\t\t\trespond 404\n\t\t}";
}

/** How long the edge waits for a client. */
export function timeoutLines({ timeouts = {} }: SiteKeys): string[] {
  const { headerSeconds = 10, bodySeconds, idleSeconds } = timeouts;
  return [
    `read_header ${headerSeconds}s`,
    ...(bodySeconds === undefined ? [] : [`read_body ${bodySeconds}s`]),
    `idle ${idleSeconds === undefined ? "2m" : `${idleSeconds}s`}`,
  ];
}

/** The option of a route's transport for the time that an app has to begin its answer. */
export function answerLimit({ timeouts = {} }: SiteKeys): string[] {
  const { answerSeconds } = timeouts;
  return answerSeconds === undefined ? [] : [`\tresponse_header_timeout ${answerSeconds}s`];
}

/** Puts `extra` and the routes into one block that the program's own paths do not reach. */
export function withExtra(extra: string | undefined, routes: readonly string[]): string[] {
  if (extra === undefined) return [...routes];
  // In a route the order of lines counts: what `extra` answers is not for the app.
  return [
    "\thandle {\n\troute {",
    EXTRA_BEGINS,
    extra.replace(/\n?$/, ""),
    EXTRA_ENDS,
    ...routes,
    "\t}\n\t}",
  ];
}

const EXTRA_BEGINS = "\t# extra begins";
const EXTRA_ENDS = "\t# extra ends";

/** How many lines of a configuration stand before the first line of `extra`. */
export function linesBeforeExtra(caddyfile: string): number {
  return caddyfile.slice(0, caddyfile.indexOf(`${EXTRA_BEGINS}\n`)).split("\n").length;
}

/**
 * The secret that lets the program's own requests pass basic authentication, because the program knows no password, and reach
 * hidden paths. Who knows the configured hashes knows it too.
 */
export function proofKey(
  basicAuth: Readonly<Record<string, string>>,
  freshnessKey?: string,
): string | undefined {
  if (freshnessKey !== undefined) return freshnessKey;
  const users = Object.entries(basicAuth).sort(([a], [b]) => (a < b ? -1 : 1));
  if (users.length === 0) return undefined;
  return hashOf(["proof", users]);
}

/** Text in quotes, as a Caddyfile reads it: braces are no placeholders. */
function quoted(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replace(/[{}]/g, (brace) => `\\${brace}`);
  return `"${escaped}"`;
}

function indented(line: string): string {
  return `\t${line}`;
}

const LOG = [
  "log {",
  "\toutput stderr",
  "\tformat filter {",
  "\t\tfields {",
  ...SENSITIVE.map((name) => `\t\t\trequest>headers>${name} delete`),
  "\t\t\tresp_headers>Set-Cookie delete",
  "\t\t}",
  "\t}",
  "}",
  `@proofs path ${OWN_PATHS}`,
  "log_skip @proofs",
];

function headerLines(headers: NonNullable<SiteKeys["headers"]>, publicUrl = ""): string[] {
  const { preset, ...own } = headers;
  const taken = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const presets: Readonly<Record<string, string>> =
    preset === undefined ? {} : { ...SECURITY, ...(publicUrl.startsWith("https:") ? HSTS : {}) };
  return [
    ...Object.entries(presets)
      .filter(([name]) => !taken.has(name.toLowerCase()))
      .map(([name, value]) => `?${name} ${quoted(value)}`),
    ...Object.entries(own).map(([name, value]) => (value === "" ? `-${name}` : `${name} ${quoted(value)}`)),
  ];
}

function authLines(users: readonly (readonly [string, string])[], key: string | undefined): string[] {
  return [
    "@guarded {",
    `\tnot path ${OWN_PATHS}`,
    `\tnot header ${PROOF_KEY_HEADER} ${key}`,
    "}",
    "basic_auth @guarded {",
    ...users.map(([user, hash]) => `\t${quoted(user)} ${hash}`),
    "}",
  ];
}

/** Text of a regular expression that matches a text itself. */
function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/**
 * A redirect. A path is compared as the client wrote it, so that nothing is decoded on the way. Slashes before the rest of a
 * path are left out: `//host` would lead to another host.
 */
function redirectLines({ host, path, to, keeps, status }: RedirectConfig, at: number): string[] {
  const name = `redirect-${at}`;
  const from = literal(path ?? "/");
  const pattern = path?.endsWith("/*") ? `^${literal(path.slice(0, -1))}[/\\\\]*(.*)$` : `^${from}(\\?.*)?$`;
  const kept = { uri: "{http.request.uri}", rest: `{http.regexp.${name}.1}`, none: "" }[keeps];
  return [
    `@${name} {`,
    `\tnot path ${OWN_PATHS}`,
    ...(host === undefined ? [] : [`\thost ${host}`]),
    ...(path === undefined ? [] : [`\tvars_regexp ${name} {http.request.uri} ${pattern}`]),
    "}",
    `redir @${name} ${to}${kept} ${status}`,
    `header @${name} Cache-Control max-age=${REDIRECT_SECONDS}`,
  ];
}
