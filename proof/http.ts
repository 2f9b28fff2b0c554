import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { pipeline, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { Answer } from "../freshness/served/answer";
import { USER_AGENT } from "../freshness/served/asking";

/** Every address that a URL's name resolves to: an old server may still stand behind one of them. */
export async function addressesOf(url: string): Promise<string[]> {
  const { hostname } = new URL(url);
  const found = await lookup(hostname.replace(/^\[|\]$/g, ""), { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** How something is asked for. */
export interface Asking {
  /** One address of the URL's name; default: whichever answers. */
  readonly address?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Leaves the body unread. */
  readonly bodyless?: boolean;
  /** Until when its end is waited for. Default: 10 s. */
  readonly timeoutMs?: number;
}

/** How often a page may be moved within the site. */
const MOST_REDIRECTS = 3;

/**
 * Asks for a page as a browser does that has nothing in its cache, and follows redirects within the site: what another site
 * answers is not this deploy's. It does not ask caches on the way to step aside: what they give is what users get.
 *
 * @returns the last answer, whose `url` is where it led
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
/** How much of an answer's body is read. */
export const MOST_BYTES = 32 * 1024 * 1024;
/** What browsers take too; Node's own limit is 16 KiB. */
const MOST_HEADER_BYTES = 128 * 1024;
/** How many bodies are read at once: each may hold `MOST_BYTES`. */
const READ_AT_ONCE = 8;
/** What is in them is of no interest. */
const MEDIA = /^(image|video|audio|font|multipart)\//i;

let reading = 0;
const waiting: (() => void)[] = [];

/** Reads when there is a place to. */
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

/** Asks a URL, on a connection of its own. Never rejects: what went wrong is in the answer. */
export function ask(
  url: string,
  { address = "", headers = {}, bodyless, timeoutMs = TIMEOUT_MS }: Asking = {},
): Promise<Answer> {
  const { protocol } = new URL(url);
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: Error) => {
      const why = signal.aborted ? `the answer did not end within ${timeoutMs / 1000} s` : error.message;
      const endless = error instanceof EndlessError;
      resolve({ url, address, status: 0, headers: {}, body: "", error: why, ...(endless && { endless }) });
    };
    const request = (protocol === "https:" ? requestHttps : requestHttp)(url, {
      agent: false,
      headers: { "User-Agent": USER_AGENT, ...headers },
      maxHeaderSize: MOST_HEADER_BYTES,
      ...(address && { lookup: only(address) }),
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
      const read =
        bodyless || MEDIA.test(type) ? Promise.resolve("") : inTurn(() => readBody(response, found));
      read.then(answered, fail).finally(() => request.destroy());
    });
    request.end();
  });
}

/**
 * Reads a body up to a limit. One that is longer is cut where its header tells its length; one that does not is taken for
 * endless.
 *
 * @throws Error where the body is endless, breaks off or is not encoded as it says
 */
async function readBody(response: IncomingMessage, headers: Answer["headers"]): Promise<string> {
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
  return textOf(Buffer.concat(chunks).subarray(0, MOST_BYTES), headers["content-type"] ?? "");
}

class EndlessError extends Error {
  constructor() {
    super(`the answer did not end within ${MOST_BYTES / 1024 / 1024} MiB`);
  }
}

/** Encodings of a body. None is asked for; some servers use one all the same. */
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

/** Resolves every name to one address. */
function only(address: string): LookupFunction {
  const family = address.includes(":") ? 6 : 4;
  // Node asks for one address or for a list, as it sees fit.
  return (_, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family));
}
