import type { Finding } from "./finding";
import { isLong } from "./lifetime";

export const isCaddyfile = (path: string) => /(^|\/)Caddyfile(\.[\w-]+)?$|\.[Cc]addyfile$/.test(path);

const SCOPES = new Set(["handle", "handle_path", "route"]);

/** Finds rules of a Caddyfile that keep pages in caches. */
export function caddyFindings(path: string, text: string): Finding[] {
  const lines = text.split("\n").map(words);
  const matchers = namedMatchers(lines);
  const isForPages = (matcher: string | undefined) =>
    matcher === undefined || (matcher.startsWith("@") ? (matchers.get(matcher) ?? true) : isPage(matcher));
  const findings: Finding[] = [];
  /** For each open brace: whether it applies to pages, and whether it is a block of headers. */
  const open: { pages: boolean; headers: boolean }[] = [];
  lines.forEach((line, at) => {
    const [name = "", ...rest] = line;
    const opens = line.at(-1) === "{";
    const args = opens ? rest.slice(0, -1) : rest;
    const isInside = open.every(({ pages }) => pages);
    const header = open.at(-1)?.headers
      ? { field: name, value: rest.join(" "), pages: isInside }
      : name === "header"
        ? headerOf(args, isForPages, isInside)
        : undefined;
    if (header?.pages && /^[?+>]*cache-control$/i.test(header.field) && isLong(header.value))
      findings.push({
        rule: "pages-cached",
        severity: "error",
        path,
        line: at + 1,
        why: "browsers may show pages for that long without asking, whatever is deployed",
        found: `${header.field} ${header.value}`,
        fix: 'Keep it to files that have their content in their name (header /_next/static/* …), and send pages with Cache-Control "no-cache".',
      });
    if (opens) {
      const matcher = /^[/@*]/.test(args[0] ?? "") ? args[0] : undefined;
      const isScope = SCOPES.has(name) || name === "header";
      open.push({ pages: !isScope || isForPages(matcher), headers: name === "header" });
    } else if (name === "}") open.pop();
  });
  return findings;
}

function headerOf(
  args: readonly string[],
  isForPages: (matcher: string | undefined) => boolean,
  isInside: boolean,
): { field: string; value: string; pages: boolean } {
  const hasMatcher = /^[/@*]/.test(args[0] ?? "");
  const [field = "", ...value] = hasMatcher ? args.slice(1) : args;
  return { field, value: value.join(" "), pages: isInside && isForPages(hasMatcher ? args[0] : undefined) };
}

/** `@name path …`, on one line or in braces: whether it matches pages. */
function namedMatchers(lines: readonly (readonly string[])[]): Map<string, boolean> {
  const found = new Map<string, boolean>();
  lines.forEach((line, at) => {
    const [name = "", ...rest] = line;
    if (!name.startsWith("@")) return;
    const end = lines.findIndex((each, i) => i > at && each[0] === "}");
    const conditions = rest.at(-1) === "{" ? lines.slice(at + 1, end) : [rest];
    found.set(
      name,
      conditions.every(([kind = "", ...args]) => {
        const negated = kind === "not";
        const [what = "", ...paths] = negated ? args : [kind, ...args];
        if (what !== "path" && what !== "file" && what !== "path_regexp") return true;
        const matches = what === "path_regexp" ? matchesPage(paths.at(-1) ?? "") : paths.some(isPage);
        return negated ? !matches : matches || (what === "file" && paths.length === 0);
      }),
    );
  });
  return found;
}

function matchesPage(pattern: string): boolean {
  try {
    return (
      /index\.html/.test("/index.html".replace(new RegExp(pattern), "index.html")) &&
      new RegExp(pattern).test("/index.html")
    );
  } catch {
    return false;
  }
}

function isPage(path: string): boolean {
  return path === "*" || path === "/" || path === "/*" || /\.html?$/.test(path);
}

/** The words of a line, without quotes and comments. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:\\.|[^"\\])*)"|`([^`]*)`|(#.*)|(\S+)/g)].flatMap(
    ([, double, back, comment, plain]) => (comment !== undefined ? [] : [double ?? back ?? plain ?? ""]),
  );
}
