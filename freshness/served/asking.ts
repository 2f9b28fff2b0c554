import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";
import type { Answer } from "./answer";

/** Identifies the program in the logs of the apps that it sends requests to. */
export const USER_AGENT = "watch-party-deploy (freshness proof)";

/** Lets the program's own requests pass the edge's basic authentication. Apps do not receive it. */
export const PROOF_KEY_HEADER = "X-Freshness-Key";

/** Header → value. */
export type RequestHeaders = Readonly<Record<string, string>>;

/**
 * Headers of a request to a container, as the edge would send them for a user of the public address. An app that
 * accepts only its own host names, or redirects plain HTTP, then answers as it does in public.
 * @param publicUrl the public address
 * @param own headers that replace those of the same name
 */
export function publicHeaders(publicUrl: string, own: RequestHeaders = {}): RequestHeaders {
  const { host, protocol } = new URL(publicUrl);
  const usual = {
    Host: host,
    "User-Agent": USER_AGENT,
    Accept: "*/*",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": host,
    "X-Forwarded-Proto": protocol.slice(0, -1),
  };
  const replaced = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const kept = Object.entries(usual).filter(([name]) => !replaced.has(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...own };
}

/** Text of a GET request. The connection closes after the answer. */
export function requestText(path: string, headers: RequestHeaders): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}Connection: close\r\n\r\n`;
}

/** Maximum number of interim answers, such as 103, before the final one. */
const MOST_INTERIM = 20;

/** Parses the bytes of an HTTP answer; undefined for anything else. */
export function readAnswer(raw: Buffer): Pick<Answer, "status" | "headers" | "body"> | undefined {
  let bytes = raw;
  for (let interim = 0; interim <= MOST_INTERIM; interim++) {
    // Each byte is one character, so that positions in the text are positions in the bytes.
    const end = /\r?\n\r?\n/.exec(bytes.toString("latin1"));
    const head = bytes.subarray(0, end?.index).toString().split(/\r?\n/);
    const status = /^HTTP\/\S+ (\d{3})\b/.exec(head[0] ?? "")?.[1];
    if (status === undefined) return undefined;
    const rest = end ? bytes.subarray(end.index + end[0].length) : Buffer.alloc(0);
    if (!status.startsWith("1") || rest.length === 0) return answerOf(Number(status), head, rest);
    bytes = rest;
  }
  return undefined;
}

function answerOf(
  status: number,
  head: readonly string[],
  rest: Buffer,
): Pick<Answer, "status" | "headers" | "body"> {
  const headers: Record<string, string> = {};
  for (const line of head.slice(1)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  const isChunked = /\bchunked\b/i.test(headers["transfer-encoding"] ?? "");
  const body = decoded(isChunked ? unchunked(rest) : rest, headers["content-encoding"] ?? "");
  return { status, headers, body: body.toString() };
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf("\r\n", at);
    const size = end < 0 ? 0 : Number.parseInt(bytes.subarray(at, end).toString(), 16);
    if (!(size > 0)) break;
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(parts);
}

/** Content encodings. The request asks for none, but some servers encode anyway. */
const DECODERS = {
  gzip: gunzipSync,
  "x-gzip": gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** Maximum size of a decoded body. */
const MOST_DECODED_BYTES = 4 * 1024 * 1024;

/** The decoded body; an unknown or damaged encoding stays as it is. */
function decoded(body: Buffer, encoding: string): Buffer {
  const name = encoding.trim().toLowerCase();
  if (!Object.hasOwn(DECODERS, name)) return body;
  try {
    return DECODERS[name as keyof typeof DECODERS](body, { maxOutputLength: MOST_DECODED_BYTES });
  } catch {
    return body;
  }
}

/** Target of a redirect, as the app wrote it; undefined for any other answer. */
export function redirectOf({ status, headers }: Pick<Answer, "status" | "headers">): string | undefined {
  return status >= 300 && status < 400 ? headers.location : undefined;
}

/**
 * Remedy for a path that redirects to itself with or without a slash at its end; undefined for any other redirect.
 *
 * @param key the configuration's key that holds the path
 */
export function slashRemedy(url: string, to: string | undefined, key: string): string | undefined {
  if (to === undefined || !URL.canParse(to, url)) return undefined;
  const [from, path] = [new URL(url).pathname, new URL(to, url).pathname];
  const bare = (text: string) => text.replace(/\/$/, "");
  return from !== path && bare(from) === bare(path)
    ? `The app redirects ${from} to ${path}. Set ${key} to "${path}", then deploy again.`
    : undefined;
}

/** White space, and characters that a terminal would interpret. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern must match them
export const UNPRINTABLE = /[\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/g;

/** Describes an unexpected answer: the error, the target of a redirect, or the status. */
export function shownAnswer(answer: Pick<Answer, "status" | "headers" | "body" | "error">): string {
  if (answer.status === 0) return answer.error;
  const to = redirectOf(answer);
  if (to !== undefined) return `status ${answer.status}, a redirect to ${to}`;
  const start = answer.body.slice(0, 1000).replace(UNPRINTABLE, " ").trim().slice(0, 80);
  return `status ${answer.status}${start ? `, "${start}"` : ""}`;
}
