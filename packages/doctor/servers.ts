import type { Finding } from "./finding";
import { headerFinding, matchesPages } from "./hosting";
import { isLong } from "./lifetime";

/** Sources in which a server may set the cache lifetime of its files. */
export const isServerSource = (path: string) =>
  /\.[cm]?[jt]s$/.test(path) &&
  !/\.d\.[cm]?ts$|\.min\.js$|\.(test|spec|stories)\.|(^|\/)(public|static|assets|dist|build|coverage|migrations|locales)\//.test(
    path,
  );

/** Calls that serve a folder of files, or one file. */
const CALL =
  /\b(express\.static|serveStatic|serve_static|sirv|koaStatic|fastifyStatic|sendFile|sendfile|serve-static|staticMiddleware)\s*\(|\b(?:register|use)\s*\(\s*(?:fastifyStatic|serve|sirv|require\(\s*["'](?:@fastify\/static|koa-static|serve-static|sirv)["']\s*\))/g;
const HEADER = /(?:setHeader|set|header|append)\s*\(\s*["'`]cache-control["'`]\s*,\s*["'`]([^"'`]*)["'`]/gi;
/** How many characters of a call to read. */
const REACH = 1500;
const SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

/** Finds settings of a JavaScript server that keep pages in caches. */
export function serverFindings(path: string, source: string): Finding[] {
  if (!/static|sendfile|cache-control|sirv/i.test(source)) return [];
  const text = source.replace(
    /(^|[^:'"`\\])\/\/[^\n]*/g,
    (comment, before: string) => before + " ".repeat(comment.length - before.length),
  );
  const lineAt = (index: number) => text.slice(0, index).split("\n").length;
  const findings: Finding[] = [];
  for (const match of text.matchAll(CALL)) {
    const open = match.index + match[0].indexOf("(");
    const call = text.slice(match.index, closingOf(text, open));
    const seconds = lifetimeIn(call);
    if (seconds === undefined || seconds <= 60) continue;
    const isFile = /sendfile/i.test(match[0]);
    if (isFile && !/html/i.test(call)) continue;
    // Only hashed files, or pages that are handled separately.
    if (/index\s*:\s*false|setHeaders|extensions\s*:\s*false/.test(call)) continue;
    if (
      /["'`/](assets|_next|_astro|chunks|fonts|images?|img|icons?|media|uploads|js|css|node_modules|immutable|vendor|locales)\b/i.test(
        call,
      )
    )
      continue;
    if (
      isBelowAssets(text, match.index) ||
      /["'`/](build|dist|out|public)["'`]?[,/\s]+["'`]?static\b/.test(call)
    )
      continue;
    findings.push({
      rule: "pages-cached",
      severity: isFile || isRoot(text, match.index) ? "error" : "warning",
      path,
      line: lineAt(match.index),
      why: "pages in this folder are sent with the same lifetime: browsers may show them for that long without asking, whatever is deployed",
      found: call.replace(/\s+/g, " ").slice(0, 160),
      fix: 'Serve hashed files alone with a long maxAge, and pages with setHeaders and "no-cache", or index: false.',
    });
  }
  for (const match of text.matchAll(HEADER)) {
    const control = match[1] ?? "";
    if (!isLong(control)) continue;
    const before = text.slice(Math.max(0, match.index - 400), match.index);
    const after = text.slice(match.index, match.index + 400);
    const sendsPage = /(sendFile|render)\s*\([^)]*(html|index)|\.html["'`]|text\/html/i;
    const isChosen = /\b(if|endsWith|test|match|includes)\b[^\n]*\n?[^\n]*$/.test(before);
    const isForHtml = /(endsWith|test|match|includes|===?)\s*\(?[^\n]{0,40}html/i.test(before.slice(-200));
    if (isChosen && !isForHtml) continue;
    const route = /\.(?:get|use|all)\s*\(\s*["'`]([^"'`]*)["'`]/g;
    const last = [...before.matchAll(route)].at(-1)?.[1];
    if (isForHtml || (last !== undefined && matchesPages(last) && sendsPage.test(after)))
      findings.push(
        ...headerFinding(
          path,
          lineAt(match.index),
          control,
          last !== undefined && matchesPages(last) ? last : "*.html",
        ),
      );
  }
  return findings;
}

/** Whether the files are served at `/`. */
function isRoot(text: string, index: number): boolean {
  const before = text.slice(Math.max(0, index - 80), index);
  return !/\(\s*["'`]\/[^"'`]+["'`]\s*,\s*$/.test(before);
}

/** Whether the files are served below a path for assets, such as `/static`. */
function isBelowAssets(text: string, index: number): boolean {
  const before = text.slice(Math.max(0, index - 80), index);
  return /\(\s*["'`]\/[^"'`]*(static|assets|img|images?|css|js|fonts|media|dist|bundles?|public|uploads?)\/?["'`]\s*,\s*$/.test(
    before,
  );
}

/** `maxAge: "1y"`, `maxAge: 86400000`, `maxAge: 1000 * 60 * 60`, `immutable: true`. */
function lifetimeIn(call: string): number | undefined {
  const text = /["'`]?max-?age["'`]?\s*:\s*(["'`]?)([^,}"'`]*)\1/i.exec(call);
  if (!text) return undefined;
  const value = (text[2] ?? "").trim();
  const [, amount, unit = ""] = /^(\d+)\s*(ms|[smhdwy])?(?:\w*)$/.exec(value) ?? [];
  if (amount !== undefined)
    return unit === "" || unit === "ms" ? Number(amount) / 1000 : Number(amount) * (SECONDS[unit] ?? 1);
  if (/^[\d_\s*]+$/.test(value))
    return (
      value.split("*").reduce((product, part) => product * Number(part.replaceAll("_", "").trim()), 1) / 1000
    );
  return undefined;
}

function closingOf(text: string, open: number): number {
  let depth = 0;
  const end = Math.min(text.length, open + REACH);
  for (let at = open; at < end; at++) {
    if (text[at] === "(") depth++;
    if (text[at] === ")" && --depth === 0) return at + 1;
  }
  return end;
}
