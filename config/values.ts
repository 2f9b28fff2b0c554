import { posix } from "node:path";
import * as z from "zod";
import { commandWords } from "../freshness/dockerfile/words";
import { parseJsonText } from "./text";

export const text = z.string({ error: "allowed: a text" });
export const filled = text.min(1, { error: "allowed: a text that is not empty" });
export const urlPath = text.regex(/^\/[^\s?#{}]*$/, { error: 'allowed: a path that begins with "/"' });

/** Docker and compose put options behind a colon, which would be a part of the path here. */
export const mountPath = text.regex(/^\/[^\s:]*$/, {
  error: 'allowed: an absolute path without ":", such as "/data"',
});
export const absolutePath = text.regex(/^\/[^\s]*$/, { error: 'allowed: an absolute path, such as "/data"' });
export const assetPath = z.string().regex(/^(\/[A-Za-z0-9._~-]+)+$/, {
  error: 'allowed: a path such as "/_next/static"',
});
export const insidePath = text
  .refine(isInside, { error: 'allowed: a relative path without ".."' })
  // As git names it: without "./" before it and "/" behind it.
  .transform((path) => posix.normalize(path).replace(/(.)\/$/, "$1"));
export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `allowed: ${values.join(", ")}` });
export const whole = (min: number, max: number) => {
  const error = `allowed: a whole number from ${min} to ${max}`;
  return z.preprocess(numeric, z.number({ error }).int({ error }).min(min, { error }).max(max, { error }));
};
export const flag = z.preprocess(
  (value) => (value === "true" ? true : value === "false" ? false : value),
  z.boolean({ error: "allowed: true, false" }),
);

/** YAML and `pulumi config set --path` turn text into numbers and booleans. */
export const scalar = z.preprocess(
  (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
  text,
);
export const NAMED = "allowed: a mapping of names to values";
export const CPUS = "allowed: a number from 0.01 to 1024";
export const VOLUME_NAME = /^[a-z0-9][a-z0-9_.-]*$/;
export const variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "allowed: a name of letters, digits and _" }),
  scalar,
  { error: NAMED },
);

/** Programs such as Elasticsearch and Spring read variables whose names have dots and dashes. */
export const environment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { error: "allowed: a name of letters, digits, _, . and -" }),
  scalar,
  { error: NAMED },
);

/** Variables whose values may come from the environment of the machine that deploys. */
export const secretVariables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "allowed: a name of letters, digits and _" }),
  z.union([scalar, z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) })], {
    error: "allowed: a text, or a mapping of env to the name of a variable",
  }),
  { error: NAMED },
);
/** One file, or a list as compose and `pulumi config set` write it. */
export const fileList = z.preprocess(
  (value) => {
    if (typeof value !== "string") return value;
    return value.startsWith("[") ? parseJsonText(value) : [value];
  },
  z.array(filled, { error: "allowed: a file, or a list of files" }),
);
export const list = <T extends z.ZodType>(item: T) => z.array(item, { error: "allowed: a list" });

/** A program and its arguments; a text is split as compose does. */
export const program = z.preprocess(
  (value) => (typeof value === "string" ? commandWords(value) : value),
  z
    .array(scalar, { error: "allowed: a text or a list" })
    .min(1, { error: "allowed: a text or a list that is not empty" }),
);
export const headers = z.record(
  z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: "allowed: the name of a header, such as Host" }),
  z.preprocess(
    (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
    text.regex(/^[^\r\n\0]*$/, { error: "allowed: a text in one line" }),
  ),
  { error: NAMED },
);
export const CIDR =
  /^(\d{1,3}(\.\d{1,3}){3}(\/([0-9]|[12][0-9]|3[0-2]))?|[0-9a-fA-F:]*:[0-9a-fA-F:]*(\/\d{1,3})?|private_ranges)$/;
export const strict = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? undefined
        : `allowed: a mapping of ${Object.keys(shape).join(", ")}`,
  });
export function absentIfEmpty(value: unknown): unknown {
  if (value === null || value === "") return undefined;
  return typeof value === "object" && Object.keys(value).length === 0 ? undefined : value;
}

/** `["db:10.0.0.1"]`, in the notation of compose, is a mapping of names to addresses. */
export function hostMapping(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return Object.fromEntries(
    value.map((each) => {
      const [, name, address] = /^([^:=]+)[:=](.*)$/.exec(String(each)) ?? [];
      return [name ?? String(each), (address ?? "").replace(/^\[|\]$/g, "")];
    }),
  );
}

/** One value, or a list as `pulumi config set` stores it. */
export function proxyList(value: unknown): unknown {
  if (typeof value !== "string") return value ?? undefined;
  if (value === "") return undefined;
  return value.startsWith("[")
    ? structure("services", value)
    : value.split(/[\s,]+/).filter((each) => each !== "");
}

export function numeric(value: unknown): unknown {
  // Some readers take a leading zero for octal.
  return typeof value === "string" && /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value) ? Number(value) : value;
}

export function inRange(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function isInside(path: string): boolean {
  return path !== "" && !path.startsWith("/") && !path.split("/").includes("..");
}

export function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** Keys with objects or lists. A text that is no JSON stays a text. */
const STRUCTURED = [
  "services",
  "accessories",
  "server",
  "registry",
  "domains",
  "redirects",
  "headers",
  "basicAuth",
  "timeouts",
  "hooks",
  "notify",
];

/** `pulumi config set` stores an object as JSON text. */
export function structure(key: string, value: unknown): unknown {
  if (!STRUCTURED.includes(key) || typeof value !== "string") return value;
  try {
    return parseJsonText(value);
  } catch {
    return value;
  }
}
