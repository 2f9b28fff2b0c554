import * as z from "zod";
import { withHost } from "../freshness/served/places";
import { absentIfEmpty, flag, headers, list, NAMED, oneOf, strict, text, whole } from "./values";

// The last part of a name in other letters is written as xn--….
const HOST = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+([a-z]{2,}|xn--[a-z0-9-]*[a-z0-9])$/;
const PATH = /^\/[A-Za-z0-9._~!$&'()+,;=:@%/-]*$/;

export const hostName = text.regex(HOST, { error: "allowed: a domain name, such as app.example.org" });

const STATUS = "allowed: 301, 302, 303, 307, 308";
const status = z
  .preprocess(
    (value) => (typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value),
    z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)], {
      error: STATUS,
    }),
  )
  .default(308);

const TO = 'allowed: a host, a path or a URL, such as example.org, "/new/*" or https://example.org/new';
const target = text.refine(
  (to) => HOST.test(to) || PATH.test(to.replace(/\/\*$/, "/")) || isPlainUrl(to.replace(/\/\*$/, "/")),
  { error: TO },
);

function isPlainUrl(to: string): boolean {
  return /^https?:\/\/[a-z0-9.-]+(:\d+)?(\/[A-Za-z0-9._~!$&'()+,;=:@%/?-]*)?$/.test(to) && URL.canParse(to);
}

const redirects = z.record(
  z.string().refine(
    (from) => {
      const [host = "", path] = partsOf(from);
      return (
        (host === "" || HOST.test(host)) && (path === undefined || PATH.test(path.replace(/\/\*$/, "/")))
      );
    },
    { error: 'allowed: a host, a path or both, such as www.example.org, /old or "/old/*"' },
  ),
  z.preprocess(
    (value) => (typeof value === "string" ? { to: value } : value),
    strict({ to: target, status }),
  ),
  { error: NAMED },
);

/** The host and the path of what is redirected. */
function partsOf(from: string): [host: string, path: string | undefined] {
  const slash = from.indexOf("/");
  return slash < 0 ? [from, undefined] : [from.slice(0, slash), from.slice(slash)];
}

const answerHeaders = z.preprocess(
  (value) => (typeof value === "string" && value !== "" ? { preset: value } : absentIfEmpty(value)),
  z.intersection(z.looseObject({ preset: oneOf("security").optional() }), headers).optional(),
);

/** Values of the keys of the edge: what it does with requests before they reach a service. */
export const edgeKeys = {
  domains: z.preprocess(absentIfEmpty, list(hostName).optional()),
  redirects: z.preprocess(absentIfEmpty, redirects.optional()),
  headers: answerHeaders,
  compression: flag.default(false),
  basicAuth: z.preprocess(
    absentIfEmpty,
    z
      .record(
        z.string().regex(/^[^\s:"{}\\]+$/, { error: "allowed: the name of a user" }),
        text.regex(/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/, {
          error: "allowed: a bcrypt hash, as `docker run --rm -it caddy:2.11 caddy hash-password` prints it",
        }),
        { error: NAMED },
      )
      .optional(),
  ),
  freshnessKey: z.preprocess(
    absentIfEmpty,
    text
      .regex(/^[A-Za-z0-9_-]{16,128}$/, {
        error: "allowed: 16 to 128 letters, digits, - and _, such as `openssl rand -hex 16` prints",
      })
      .optional(),
  ),
  bodyLimit: z.preprocess(
    absentIfEmpty,
    text.regex(/^[1-9]\d{0,9}([KMG]i?)?B$/, { error: "allowed: a size, such as 10MB or 512KiB" }).optional(),
  ),
  timeouts: z.preprocess(
    absentIfEmpty,
    strict({
      headerSeconds: whole(1, 3600).optional(),
      bodySeconds: whole(1, 86400).optional(),
      idleSeconds: whole(1, 86400).optional(),
      answerSeconds: whole(5, 86400).optional(),
    }).optional(),
  ),
  accessLog: flag.default(false),
  extra: z.preprocess(absentIfEmpty, text.optional()),
};

/** A redirect of the edge. */
export interface RedirectConfig {
  /** The host whose requests are redirected. Default: any. */
  readonly host?: string;
  /** The path, with `/*` at its end for all below it. Default: any. */
  readonly path?: string;
  /** A URL, or a path of the same host. */
  readonly to: string;
  /** What of the request's URL stands behind `to`. */
  readonly keeps: "uri" | "rest" | "none";
  readonly status: number;
}

/** The redirects as the edge needs them. @param publicUrl its scheme and port are those of a target that is a host alone */
export function redirectsOf(
  given: Readonly<Record<string, { readonly to: string; readonly status: number }>>,
  publicUrl: string,
): RedirectConfig[] {
  return Object.entries(given).map(([from, { to, status }]) => {
    const [host, path] = partsOf(from);
    const url = HOST.test(to) ? withHost(publicUrl, to) : to;
    const isBelow = url.endsWith("/*");
    const keepsUri = path === undefined && (isBelow || /^https?:\/\/[^/]*$/.test(url));
    const keepsRest = path !== undefined && (path.endsWith("/*") ? isBelow : !url.includes("?"));
    return {
      ...(host === "" ? {} : { host }),
      ...(path === undefined ? {} : { path }),
      to: url.replace(/\/\*$/, path === undefined ? "" : "/"),
      keeps: keepsUri ? "uri" : keepsRest ? "rest" : "none",
      status,
    };
  });
}

/** Headers that belong to one connection, that the edge works out, or that its own answers have. */
const NOT_SET =
  /^(connection|content-length|content-encoding|transfer-encoding|upgrade|trailer|x-freshness-.*)$/i;

/** What is wrong with the keys of the edge together. */
export function edgeProblems(
  namespace: string,
  { headers: set = {}, redirects: all = [], publicUrl, extra }: EdgeValues,
): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(set)) {
    const key = `${namespace}:headers.${name}`;
    if (NOT_SET.test(name))
      problems.push(`${key} is set; allowed: a header that the edge does not work out itself`);
    if (!/^[A-Za-z]/.test(name))
      problems.push(`${key} is not a valid name; allowed: a name that begins with a letter`);
    if (value?.includes("{$"))
      problems.push(`${key} is ${JSON.stringify(value)}; allowed: a text without "{$"`);
  }
  const own = new URL(publicUrl).hostname;
  const whole = new Set(all.filter(({ path }) => path === undefined).map(({ host }) => host));
  for (const { host, path = "", to } of all) {
    const key = `${namespace}:redirects.${host ?? ""}${path}`;
    const towards = URL.canParse(to) ? new URL(to).hostname : (host ?? own);
    if (/^\/\.freshness(\/|$)/.test(path))
      problems.push(`${key} is set; allowed: a path other than /.freshness`);
    if (host === own && path === "")
      problems.push(
        `${key} is set; allowed: a host other than that of ${namespace}:publicUrl, which is served`,
      );
    else if (whole.has(towards))
      problems.push(`${key} leads to ${towards}, which is redirected too; allowed: the host that is served`);
  }
  if (extra?.includes("# extra "))
    problems.push(`${namespace}:extra has "# extra "; allowed: other comments`);
  return problems;
}

interface EdgeValues {
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly redirects?: readonly RedirectConfig[];
  readonly publicUrl: string;
  readonly extra?: string;
}
