import type { Finding } from "./finding";
import { isLong, isTooLong, nginxSeconds } from "./lifetime";

/** A directive and its block. */
interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly line: number;
  readonly block: readonly Directive[];
}

/** Detects nginx files by name or by content. */
export const isNginx = (path: string, text: string) =>
  /(^|\/)nginx[\w.-]*\.conf(\.template|\.tmpl)?$/.test(path) ||
  (/\.conf(\.template|\.tmpl)?$|(^|\/)sites-(available|enabled)\//.test(path) &&
    /^[ \t]*(server[ \t]*\{|location[ \t]|upstream[ \t]+\S+[ \t]*\{|proxy_cache)/m.test(text));

/** Finds settings of an nginx configuration that keep pages in caches. */
export function nginxFindings(path: string, text: string): Finding[] {
  const top = parse(text);
  const http = top.filter(({ name }) => name === "http");
  const outer = [...top, ...http.flatMap(({ block }) => block)];
  const servers = outer.filter(({ name }) => name === "server");
  // A file that is included into a server has its locations at the top level.
  const scopes = servers.length > 0 ? servers.map(({ block }) => block) : [top];
  return scopes.flatMap((server) => {
    const inherited = [server, ...(servers.length > 0 ? [outer] : [])];
    const locations = all(server).filter(({ name, args }) => name === "location" && isForPages(args));
    const chains = locations.length > 0 ? locations.map(({ block }) => [block, ...inherited]) : [inherited];
    return chains.flatMap((chain) => scopeFindings(path, chain));
  });
}

/** Judges one block that serves pages, with its parents: the innermost setting applies. */
function scopeFindings(path: string, chain: readonly (readonly Directive[])[]): Finding[] {
  const holding = (name: string) =>
    chain
      .map((scope) => scope.filter((directive) => directive.name === name))
      .find((found) => found.length > 0) ?? [];
  const make = (
    { name, args, line }: Directive,
    severity: Finding["severity"],
    why: string,
    fix: string,
  ): Finding => ({
    rule: "pages-cached",
    severity,
    path,
    line,
    why,
    found: `${name} ${args.join(" ")}`,
    fix,
  });
  const pages =
    'Keep it to files that have their content in their name (location /_next/static/), and send pages with Cache-Control "no-cache".';
  const found: Finding[] = [];
  const expires = holding("expires").at(-1);
  if (expires && isTooLong(nginxSeconds(expires.args)))
    found.push(
      make(
        expires,
        "error",
        "browsers may show pages for that long without asking, whatever is deployed",
        pages,
      ),
    );
  for (const header of holding("add_header"))
    if (header.args[0]?.toLowerCase() === "cache-control" && isLong(header.args[1] ?? ""))
      found.push(
        make(
          header,
          "error",
          "browsers may show pages for that long without asking, whatever is deployed",
          pages,
        ),
      );
  for (const kind of ["proxy", "fastcgi", "uwsgi"]) {
    const cache = holding(`${kind}_cache`).at(-1);
    if (!cache || cache.args[0] === "off") continue;
    const valid = holding(`${kind}_cache_valid`).find(({ args }) => {
      const isGood = args.length === 1 || args.some((arg) => arg === "200" || arg === "any");
      return isGood && isTooLong(nginxSeconds(args.slice(-1)));
    });
    const ignored = holding(`${kind}_ignore_headers`).some(({ args }) =>
      args.some((arg) => /^(Cache-Control|Expires)$/i.test(arg)),
    );
    found.push(
      make(
        valid ?? cache,
        valid || ignored ? "error" : "warning",
        valid || ignored
          ? "the proxy answers with the pages that it has kept for that long, whatever is deployed behind it"
          : "the proxy keeps each page for as long as its headers allow, and no deploy empties it",
        `Set ${kind}_cache off where pages are served, and keep it to static files.`,
      ),
    );
  }
  return found;
}

/** Whether a location serves pages: `/`, an index file, or a pattern that matches one. */
function isForPages(args: readonly string[]): boolean {
  const [first = "", second = ""] = args;
  if (first === "~" || first === "~*") {
    try {
      const pattern = new RegExp(second, first === "~*" ? "i" : "");
      return ["/index.html", "/about.html", "/about"].some((page) => pattern.test(page));
    } catch {
      return false;
    }
  }
  const place = /^(=|\^~)$/.test(first) ? second : first;
  return place === "/" || /\.html?$/.test(place);
}

function all(directives: readonly Directive[]): Directive[] {
  return directives.flatMap((directive) => [directive, ...all(directive.block)]);
}

const TOKEN =
  /(\s+)|(#[^\n]*)|([{};])|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|((?:\$\{[^}]*\}|[^\s{};])+)|(.)/gs;

function parse(text: string): Directive[] {
  const root: Directive[] = [];
  const outer: Directive[][] = [];
  let block = root;
  let words: string[] = [];
  let line = 1;
  let started = 1;
  for (const [token, , , mark, double, single, plain] of text.matchAll(TOKEN)) {
    const word = double ?? single ?? plain;
    if (word !== undefined) {
      if (words.length === 0) started = line;
      words.push(word);
    } else if (mark === ";" || mark === "{") {
      const [name = "", ...args] = words;
      const directive = { name, args, line: started, block: [] as Directive[] };
      block.push(directive);
      if (mark === "{") {
        outer.push(block);
        block = directive.block;
      }
      words = [];
    } else if (mark === "}") {
      words = [];
      block = outer.pop() ?? root;
    }
    line += token.split("\n").length - 1;
  }
  return root;
}
