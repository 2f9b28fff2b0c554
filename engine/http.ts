import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { text } from "node:stream/consumers";
import type { Answer } from "../freshness/served";
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
/** Neither a page nor a script is longer; what is, is cut. */
const MOST_CHARACTERS = 5_000_000;
/** What is in them is of no interest. */
const MEDIA = /^(image|video|audio|font)\//i;

/** Asks a URL, on a connection of its own. Never rejects: what went wrong is in the answer. */
export function ask(url: string, { address = "", headers = {} }: Asking = {}): Promise<Answer> {
  const { protocol } = new URL(url);
  return new Promise((resolve) => {
    const fail = (error: Error) =>
      resolve({ url, address, status: 0, headers: {}, body: "", error: error.message });
    const request = (protocol === "https:" ? requestHttps : requestHttp)(url, {
      agent: false,
      headers: { "User-Agent": USER_AGENT, ...headers },
      ...(address && { lookup: only(address) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    request.on("error", fail);
    request.on("response", (response) => {
      const found = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(", ") : (value ?? ""),
        ]),
      );
      const answered = (body: string) =>
        resolve({ url, address, status: response.statusCode ?? 0, headers: found, body, error: "" });
      if (MEDIA.test(found["content-type"] ?? "")) {
        answered("");
        response.destroy();
      } else text(response).then((body) => answered(body.slice(0, MOST_CHARACTERS)), fail);
    });
    request.end();
  });
}

/** Resolves every name to one address. */
function only(address: string): LookupFunction {
  const family = address.includes(":") ? 6 : 4;
  // Node asks for one address or for a list, as it sees fit.
  return (_, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family));
}
