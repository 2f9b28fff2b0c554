import type { Finding } from "./finding";

export const isWorker = (path: string) =>
  /(^|\/)(sw|service[-_]?worker|serviceWorker|firebase-messaging-sw)(\.src)?\.[cm]?[jt]s$/.test(path);

/** How many characters of a fetch handler to read. */
const REACH = 4000;

/** Findings for a service worker that answers a navigation from its cache. */
export function workerFindings(path: string, source: string): Finding[] {
  const text = withoutComments(source);
  const make = (at: number, found: string, why: string): Finding => ({
    rule: "worker-serves-pages",
    severity: "error",
    path,
    line: text.slice(0, at).split("\n").length,
    why,
    found,
    fix: "Answer navigations from the network (fetch first, the cache only where it fails), and keep in the cache what has its content in its name.",
  });
  const shell = /createHandlerBoundToURL\s*\(/.exec(text);
  const isRouted = /new\s+(workbox\.routing\.)?NavigationRoute\b|registerNavigationRoute|registerRoute\s*\(/;
  if (shell && isRouted.test(text))
    return [
      make(
        shell.index,
        "NavigationRoute of a precached page",
        "every navigation gets the page that was precached, until a new worker has taken over",
      ),
    ];
  const route = /registerRoute\s*\(/g;
  for (const match of text.matchAll(route)) {
    const call = text.slice(match.index, closingOf(text, match.index + match[0].length - 1));
    const strategy = /new\s+(?:\w+\.)*(CacheFirst|CacheOnly|StaleWhileRevalidate)\b/.exec(call)?.[1];
    if (strategy && /navigate|['"]document['"]/.test(call))
      return [
        make(
          match.index,
          `${strategy} for navigations`,
          "navigations are answered with the page that the worker has kept, before the network is asked",
        ),
      ];
  }
  const handler = /addEventListener\s*\(\s*['"]fetch['"]|\bonfetch\s*=/.exec(text);
  if (!handler) return [];
  const body = text.slice(handler.index, handler.index + REACH);
  const kept = /\bcaches?\s*\.\s*match\s*\(/.exec(body);
  const asked = /(?<![\w.])fetch\s*\(\s*(?!['"])/.exec(body.slice(handler[0].length));
  const isFirst = kept && (!asked || kept.index < asked.index + handler[0].length);
  if (!isFirst || !keepsPages(text)) return [];
  // Assume that a handler which checks for navigations first does so on purpose.
  const before = body.slice(0, kept.index);
  if (/navigate|destination\s*[!=]==?\s*['"]|\/_next\/static|\/static\//.test(before)) return [];
  return [
    make(
      handler.index + kept.index,
      "caches.match before fetch",
      "every request, that of a page among them, is answered from the worker's cache before the network is asked",
    ),
  ];
}

/** Whether a page enters the worker's cache: one that is requested, or the precached start page. */
function keepsPages(text: string): boolean {
  return /\.put\s*\(/.test(text) || /['"`](\.?\/|(\.?\/)?index\.html)['"`]/.test(text);
}

/** Blanks comments, so that line numbers do not change. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(
      /(^|[^:'"`\\])\/\/[^\n]*/g,
      (comment, before: string) => before + " ".repeat(comment.length - before.length),
    );
}

function closingOf(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth++;
    if (text[at] === ")" && --depth === 0) return at + 1;
  }
  return text.length;
}
