/** What an asset is loaded as: a script or a style that turns out to be an HTML page is none. */
export type AssetKind = "script" | "style" | "other";

interface NamedAsset {
  readonly url: string;
  readonly kind: AssetKind;
}

/** What an HTML page names. */
export interface NamedByPage {
  /** What relative addresses are relative to. */
  readonly base: string;
  /** Of the page's own origin, each once, scripts and styles first. */
  readonly assets: readonly NamedAsset[];
  /** The text of its inline scripts. */
  readonly inline: readonly string[];
}

/** A service worker that a page registers. */
export interface Registration {
  readonly url: string;
  /** Address that the pages it controls begin with. */
  readonly scope: string;
}

/** A comment, an element whose content a browser does not read as tags, or a single tag. */
const ATTRIBUTES = `((?:[^>"']|"[^"]*"|'[^']*')*)`;
const RAW = "script|style|textarea|title|noscript|template|iframe";
const MARKUP = new RegExp(
  `<!--[\\s\\S]*?-->|<(${RAW})(?=[\\s/>])${ATTRIBUTES}>([\\s\\S]*?)</\\1\\s*>|<([a-z][^\\s/>]*)${ATTRIBUTES}>`,
  "gi",
);
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g;
const JAVASCRIPT = /^(|module|(text|application)\/(x-)?(java|ecma)script)$/i;
const RANK: Readonly<Record<AssetKind, number>> = { script: 0, style: 1, other: 2 };

/** Reads the assets that a browser loads with a page: script, link, img, seen from `<base>`. */
export function namedByPage(html: string, pageUrl: string): NamedByPage {
  const inline: string[] = [];
  const named: { address: string; kind: AssetKind }[] = [];
  let base: string | undefined;
  for (const [, rawTag, rawAttributes, content, tag, tagAttributes] of html.matchAll(MARKUP)) {
    const name = (rawTag ?? tag ?? "").toLowerCase();
    const attribute = attributes(rawAttributes ?? tagAttributes ?? "");
    if (name === "base") base ??= resolve(attribute.get("href"), pageUrl);
    if (name === "script" && JAVASCRIPT.test(attribute.get("type") ?? "")) {
      if (attribute.has("src")) named.push({ address: attribute.get("src")!, kind: "script" });
      else inline.push(content!);
    }
    if (name === "img" && attribute.has("src")) named.push({ address: attribute.get("src")!, kind: "other" });
    const kind = name === "link" ? linked(attribute) : undefined;
    if (kind && attribute.has("href")) named.push({ address: attribute.get("href")!, kind });
  }
  base ??= pageUrl;
  const assets = new Map<string, NamedAsset>();
  for (const { address, kind } of named) {
    const url = resolve(address, base);
    if (!url || new URL(url).origin !== new URL(pageUrl).origin) continue;
    if (RANK[kind] < RANK[assets.get(url)?.kind ?? "other"] || !assets.has(url))
      assets.set(url, { url, kind });
  }
  return { base, assets: [...assets.values()].sort((a, b) => RANK[a.kind] - RANK[b.kind]), inline };
}

/**
 * Finds the service workers that a script registers with a literal address: `navigator.serviceWorker.register("…")`,
 * also of a `new URL("…", …)`, and Workbox's `new Workbox("…")`.
 *
 * @param base the page's base, which addresses are relative to
 * @param scriptUrl where the script lies, for `new URL("…", import.meta.url)`
 */
export function registrations(code: string, base: string, scriptUrl = base): Registration[] {
  const call =
    /(?:serviceWorker\s*\??\.\s*register|new\s+Workbox)\s*\(\s*(?:new\s+URL\s*\(\s*)?(["'`])([^"'`$\s]+)\1/g;
  const found: Registration[] = [];
  for (const match of code.matchAll(call)) {
    const rest = code.slice(match.index + match[0].length, match.index + match[0].length + 300);
    const url = resolve(match[2], /^\s*,\s*import\.meta\.url/.test(rest) ? scriptUrl : base);
    if (!url || new URL(url).origin !== new URL(base).origin) continue;
    const options = /^(?:\s*,\s*[\w.$]+\s*\))?\s*,\s*\{([^}]*)\}/.exec(rest)?.[1] ?? "";
    const scope = /\bscope["']?\s*:\s*(["'`])([^"'`$]*)\1/.exec(options)?.[2];
    found.push({ url, scope: resolve(scope ?? new URL(".", url).href, base)! });
  }
  return found;
}

function linked(attribute: ReadonlyMap<string, string>): AssetKind | undefined {
  const rel = (attribute.get("rel") ?? "").toLowerCase().split(/\s+/);
  if (rel.includes("stylesheet")) return "style";
  if (rel.includes("modulepreload")) return "script";
  if (rel.includes("preload")) {
    const as = attribute.get("as")?.toLowerCase();
    return as === "script" || as === "style" ? as : "other";
  }
  return rel.some((word) => word === "icon" || word === "apple-touch-icon" || word === "manifest")
    ? "other"
    : undefined;
}

function attributes(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name, double, single, bare] of text.matchAll(ATTRIBUTE))
    if (!found.has(name!.toLowerCase()))
      found.set(name!.toLowerCase(), decode(double ?? single ?? bare ?? ""));
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/gi,
    (all, hex, decimal, name) => {
      if (name) return ENTITIES[name.toLowerCase()]!;
      const code = hex ? Number.parseInt(hex, 16) : Number(decimal);
      return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

/** An http(s) address without its fragment; undefined for all others and for none. */
function resolve(address: string | undefined, base: string): string | undefined {
  if (!address?.trim() || !URL.canParse(address.trim(), base)) return undefined;
  const url = new URL(address.trim(), base);
  url.hash = "";
  return /^https?:$/.test(url.protocol) ? url.href : undefined;
}
