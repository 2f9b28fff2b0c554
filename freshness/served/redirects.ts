import { type Break, broken } from "../chain";
import { NAMESPACE } from "../project";
import type { Answer } from "./answer";

/** Where the redirects of a public address led. */
export interface Followed {
  readonly url: string;
  readonly first: Answer;
  readonly last: Answer;
  /**
   * `answer`: an answer or none at all. `elsewhere`: a redirect to another host. `endless`: a redirect to an earlier
   * URL.
   */
  readonly end: "answer" | "elsewhere" | "endless";
}

/** Errors of a certificate that this machine does not trust. Users may trust it. */
const UNTRUSTED = /certificate|self.signed|issuer|CERT/i;

/**
 * Judges redirects of a public address. An address serves no release if it redirects to itself endlessly, or to a URL
 * of the same host that does not answer.
 * @returns undefined for other answers
 */
export function loopVerdict(
  service: string,
  commit: string,
  followed: readonly Followed[],
): Break | undefined {
  const lost = followed.find(
    ({ url, last, end }) =>
      end === "endless" ||
      (end === "answer" && last.url !== url && last.status === 0 && !UNTRUSTED.test(last.error)),
  );
  if (lost === undefined) return undefined;
  const { url, first, last, end } = lost;
  const to = new URL(first.headers.location ?? url, url).href;
  const isEndless = end === "endless";
  const wrong = isEndless
    ? `${url} redirects endlessly`
    : `${url} redirects to an address that does not answer`;
  const toHttps = new URL(to).protocol === "https:" && first.headers.location?.startsWith("https:");
  return broken({
    link: "served",
    service,
    wrong,
    expected: `an answer of commit ${commit}`,
    found: isEndless
      ? `status ${first.status}, a redirect to ${to}`
      : `a redirect to ${last.url}, which does not answer (${last.error})`,
    evidence: url,
    remedy: toHttps
      ? `The app redirects plain HTTP to HTTPS and takes the request for plain HTTP. If a proxy in front of the edge terminates TLS, set ${NAMESPACE}:trustedProxies to its addresses (or "private_ranges"), so that the edge keeps its X-Forwarded-Proto; then deploy again.`
      : "Correct the redirect in the app, then deploy again.",
  });
}
