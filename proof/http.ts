import { lookup as lookupName } from "node:dns";
import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { pipeline, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { blobId } from "../engine/tarFiles";
import type { Answer } from "../freshness/served/answer";
import { USER_AGENT } from "../freshness/served/asking";

/** How requests to a host are sent, other than by its name alone. */
interface Reach {
  /** A name or address that stands in for the host's. */
  readonly via?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const reaches = new Map<string, Reach>();

/** Sends all requests of this process to a host, `name:port`, in this way from now on. */
export function reachBy(host: string, reach: Reach): void {
  reaches.set(host, reach);
}

/** Requests every address of a URL's name: one of them may still be an old server. */
export async function addressesOf(url: string): Promise<string[]> {
  const { host, hostname: name } = new URL(url);
  const hostname = reaches.get(host)?.via ?? name;
  const found = await lookup(hostname.replace(/^\[|\]$/g, ""), { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** Options of a request. */
export interface Asking {
  /** One address of the URL's name; default: any. */
  readonly address?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Leaves the body unread. */
  readonly bodyless?: boolean;
  /** Returns in place of the body the ID that git gives its bytes. */
  readonly hashed?: boolean;
  /** Milliseconds to wait for the end of the answer. Default: 10 s. */
  readonly timeoutMs?: number;
}

/** Maximum number of redirects within the site. */
const MOST_REDIRECTS = 3;

/**
 * Requests a page as a browser with an empty cache does, and follows redirects within the site; another site's answer
 * is not this deploy's. Caches on the way may answer, because users get their answers too.
 *
 * @returns the last answer, whose `url` is the final one
 */
export async function askPage(url: string, asking: Asking = {}): Promise<Answer> {
  let at = url;
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(at, asking);
    const { location } = answer.headers;
    const isMoved = answer.status >= 300 && answer.status < 400 && location && URL.canParse(location, at);
    const next = isMoved ? new URL(location, at) : undefined;
    if (next?.origin !== new URL(at).origin || redirects === MOST_REDIRECTS) return answer;
    at = next.href;
  }
}

const TIMEOUT_MS = 10_000;
/** Maximum size of a body. */
export const MOST_BYTES = 32 * 1024 * 1024;
/** The limit of browsers; Node's own is 16 KiB. */
const MOST_HEADER_BYTES = 128 * 1024;
/** Maximum number of bodies read at once: each may hold `MOST_BYTES`. */
const READ_AT_ONCE = 8;
/** Their content does not matter. */
const MEDIA = /^(image|video|audio|font|multipart)\//i;

let reading = 0;
const waiting: (() => void)[] = [];

/** Waits for a free slot, then reads. */
async function inTurn<T>(read: () => Promise<T>): Promise<T> {
  if (reading === READ_AT_ONCE) await new Promise<void>((free) => waiting.push(free));
  else reading++;
  try {
    return await read();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else reading--;
  }
}

/** Sends a request on its own connection. Never rejects: the answer holds the error. */
export function ask(
  url: string,
  { address = "", headers = {}, bodyless, hashed = false, timeoutMs = TIMEOUT_MS }: Asking = {},
): Promise<Answer> {
  const { protocol, host } = new URL(url);
  const { via, headers: own = {} } = reaches.get(host) ?? {};
  const by = address || via;
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: Error) => {
      const why = signal.aborted ? `the answer did not end within ${timeoutMs / 1000} s` : error.message;
      const endless = error instanceof EndlessError;
      resolve({ url, address, status: 0, headers: {}, body: "", error: why, ...(endless && { endless }) });
    };
    const request = (protocol === "https:" ? requestHttps : requestHttp)(url, {
      agent: false,
      headers: { "User-Agent": USER_AGENT, Accept: "*/*", ...own, ...headers },
      maxHeaderSize: MOST_HEADER_BYTES,
      ...(by && { lookup: only(by) }),
      signal,
    });
    request.on("error", fail);
    request.on("response", (response) => {
      response.on("error", fail);
      const found = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(", ") : (value ?? ""),
        ]),
      );
      const answered = (body: string) =>
        resolve({ url, address, status: response.statusCode ?? 0, headers: found, body, error: "" });
      const type = found["content-type"] ?? "";
      const isUnread = bodyless || (MEDIA.test(type) && !hashed);
      const read = isUnread ? Promise.resolve("") : inTurn(() => readBody(response, found, hashed));
      read.then(answered, fail).finally(() => request.destroy());
    });
    request.end();
  });
}

/**
 * Reads a body up to a limit. A longer one is cut if a header states its length; otherwise it counts as endless.
 *
 * @throws Error if the body is endless, breaks off or is wrongly encoded
 */
async function readBody(
  response: IncomingMessage,
  headers: Answer["headers"],
  hashed: boolean,
): Promise<string> {
  const encoding = (headers["content-encoding"] ?? "").trim().toLowerCase();
  const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  // What breaks the one breaks the other.
  const body = decoder ? pipeline(response, decoder(), () => undefined) : response;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    chunks.push(chunk);
    if (size >= MOST_BYTES) break;
  }
  if (size >= MOST_BYTES && headers["content-length"] === undefined) throw new EndlessError();
  const bytes = Buffer.concat(chunks).subarray(0, MOST_BYTES);
  return hashed ? blobId(bytes) : textOf(bytes, headers["content-type"] ?? "");
}

class EndlessError extends Error {
  constructor() {
    super(`the answer did not end within ${MOST_BYTES / 1024 / 1024} MiB`);
  }
}

/** Content encodings. The request asks for none, but some servers encode anyway. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

function textOf(bytes: Uint8Array, contentType: string): string {
  const charset = /;\s*charset=["']?([\w.:-]{1,40})/i.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

/** Resolves every name as one address, or as one other name. */
function only(address: string): LookupFunction {
  if (isIP(address) === 0) return (_, options, done) => lookupName(address, options, done);
  const family = address.includes(":") ? 6 : 4;
  // Node asks for one address or for a list.
  return (_, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family));
}
