import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { Duplex, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Answer } from "../freshness/served";

/** Every address that a URL's name resolves to: an old server may still stand behind one of them. */
export async function addressesOf(url: string): Promise<string[]> {
  const { hostname } = new URL(url);
  const found = await lookup(hostname.replace(/^\[|\]$/g, ""), { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** How often a page may be moved within the site. */
export const MOST_REDIRECTS = 3;

/**
 * Asks for a page at one address of its name as a browser does that has nothing in its cache, and follows redirects within the
 * site. It does not ask caches on the way to step aside: what they give is what users get.
 */
export async function askPage(url: string, address: string): Promise<Answer> {
  let at = url;
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(at, address);
    const { location } = answer.headers;
    const isMoved = answer.status >= 300 && answer.status < 400 && location && URL.canParse(location, at);
    const next = isMoved ? new URL(location, at) : undefined;
    if (next?.origin !== new URL(at).origin || redirects === MOST_REDIRECTS) return { ...answer, url };
    at = next.href;
  }
}

/** Asks a URL at one address of its name, on a connection of its own. Never rejects: what went wrong is in the answer. */
export function ask(url: string, address: string, timeoutSeconds = 10): Promise<Answer> {
  const { protocol } = new URL(url);
  const family = address.includes(":") ? 6 : 4;
  return new Promise((resolve) => {
    const fail = (error: Error) =>
      resolve({ url, address, status: 0, headers: {}, body: "", error: error.message });
    const request = (protocol === "https:" ? requestHttps : requestHttp)(url, {
      agent: false,
      // Node asks for one address or for a list, as it sees fit.
      lookup: (_, { all }, done) =>
        all
          ? (done as unknown as (e: null, a: object[]) => void)(null, [{ address, family }])
          : done(null, address, family),
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    request.on("error", fail);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", fail);
      response.on("end", () => {
        const headers = Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(", ") : (value ?? ""),
          ]),
        );
        const body = Buffer.concat(chunks).toString("utf8");
        resolve({ url, address, status: response.statusCode ?? 0, headers, body, error: "" });
      });
    });
    request.end();
  });
}

/** One GET over a pair of streams, such as those of a process that is connected to a server. */
export function getOver(
  input: Writable,
  output: Readable,
  path: string,
  timeout: number,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const createConnection = () => Duplex.from({ writable: input, readable: output });
    const headers = { host: "localhost", connection: "close" };
    const asked = requestHttp({ path, headers, createConnection, timeout }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject);
    asked.end();
  });
}
