import type { Answer } from "../freshness/served/answer";
import type { Followed } from "../freshness/served/redirects";
import { ask } from "./http";

/** Browsers give up after as many redirects. */
const MOST_REDIRECTS = 20;

/**
 * Follows redirects as a browser with cookies does, as long as they stay on the same host; another host's answer is not
 * this deploy's.
 */
export async function followRedirects(url: string): Promise<Followed> {
  const seen = new Set<string>();
  const cookies = new Map<string, string>();
  let at = url;
  let first: Answer | undefined;
  for (;;) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html,*/*;q=0.8", ...(cookie && { cookie }) };
    const answer = await ask(at, { headers });
    first ??= answer;
    seen.add(`${at} ${cookie}`);
    const { location, "set-cookie": set = "" } = answer.headers;
    // An expiry date contains a comma too; no cookie name follows it.
    for (const each of set.split(/,(?=\s*[^;,=\s]+=)/)) {
      const [, name, value] = /^\s*([^;,=\s]+)=([^;]*)/.exec(each) ?? [];
      if (name !== undefined) cookies.set(name, value ?? "");
    }
    const isRedirect = answer.status >= 300 && answer.status < 400 && location !== undefined;
    if (!isRedirect || !URL.canParse(location, at)) return { url, first, last: answer, end: "answer" };
    const next = new URL(location, at);
    next.hash = "";
    if (next.hostname !== new URL(at).hostname || !/^https?:$/.test(next.protocol))
      return { url, first, last: answer, end: "elsewhere" };
    at = next.href;
    const now = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    if (seen.has(`${at} ${now}`) || seen.size > MOST_REDIRECTS)
      return { url, first, last: answer, end: "endless" };
  }
}
