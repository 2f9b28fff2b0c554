import { Tokenizer } from "htmlparser2";

/**
 * How a page uses an asset. `script` and `style` are required. Browsers show the page without `other`: an image, an
 * icon, a font, a script for old browsers. A script or style that answers with an HTML page counts as missing.
 */
export type AssetKind = "script" | "style" | "other";

interface NamedAsset {
  readonly url: string;
  readonly kind: AssetKind;
}

/** References of an HTML page. */
export interface NamedByPage {
  /** Base URL of relative addresses. */
  readonly base: string;
  /** Assets of the page's own origin, without duplicates, scripts and styles first. */
  readonly assets: readonly NamedAsset[];
  /** Text of the inline scripts. */
  readonly inline: readonly string[];
}

/** A service worker that a page registers. */
export interface Registration {
  readonly url: string;
  /** URL prefix of the pages that the worker controls. */
  readonly scope: string;
}

const JAVASCRIPT = /^(|module|(text|application)\/(x-)?(java|ecma)script)$/i;
const RANK: Readonly<Record<AssetKind, number>> = { script: 0, style: 1, other: 2 };
/** Limit per script. A script registers one worker, or one of a few, depending on where it runs. */
const MOST_WORKERS = 20;
/** No server accepts a longer URL. */
const LONGEST_ADDRESS = 16_384;
/** Limit per page. Only a page that attacks its reader references more. */
const MOST_NAMED = 10_000;
/** Attributes that the reader uses. It skips the values of all others. */
const READ = new Set(
  "as base data disabled href media nomodule onload poster rel shadowrootmode src srcset type".split(" "),
);

/** Elements that end SVG and MathML content wherever they start. */
const ENDS_DRAWING = new Set(
  "b big blockquote body br center code div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li main menu ol p pre s small span strong table u ul".split(
    " ",
  ),
);

type Attributes = ReadonlyMap<string, string>;

/** Finds the assets that a browser loads with a page: scripts, styles and images, resolved against `<base>`. */
export function namedByPage(html: string, pageUrl: string): NamedByPage {
  const reader = new PageReader(html);
  reader.read();
  const base = resolve(reader.base, pageUrl) ?? pageUrl;
  const assets = new Map<string, NamedAsset>();
  for (const { address, kind } of reader.named) {
    const url = resolve(address, base);
    if (!url || new URL(url).origin !== new URL(pageUrl).origin) continue;
    if (RANK[kind] < RANK[assets.get(url)?.kind ?? "other"] || !assets.has(url))
      assets.set(url, { url, kind });
  }
  const sorted = [...assets.values()].sort((a, b) => RANK[a.kind] - RANK[b.kind]);
  return { base, assets: sorted, inline: reader.inline };
}

/** Visible text and title of a page, without scripts and styles. */
export function textOfPage(html: string): string {
  const reader = new PageReader(html);
  reader.read();
  return reader.text.join(" ");
}

/**
 * Reads a page token by token, without building a tree. A crafted page makes tree construction take quadratic time, and
 * nothing here needs a tree.
 */
class PageReader {
  base: string | undefined;
  readonly inline: string[] = [];
  readonly named: { address: string; kind: AssetKind }[] = [];
  readonly text: string[] = [];
  private tag = "";
  private attributes = new Map<string, string>();
  private attribute = "";
  private value: string | undefined;
  /** The open script and its text so far. */
  private script: { attributes: Attributes; text: string[] } | undefined;
  private isStyle = false;
  /** Nesting depth of templates. Browsers do not load their content. */
  private templates = 0;
  /** Whether the reader is inside `<noscript>`. */
  private isNoscript = false;
  /** Nesting depth of SVG or MathML, where script, style and title are ordinary elements. */
  private foreign = 0;

  constructor(private readonly html: string) {}

  read(): void {
    const tokenizer = new Tokenizer({}, this);
    tokenizer.write(this.html);
    tokenizer.end();
  }

  isInForeignContext(): boolean {
    return this.foreign > 0;
  }

  onopentagname(start: number, end: number): void {
    this.tag = this.html.slice(start, Math.min(end, start + 64)).toLowerCase();
    this.attributes = new Map();
  }

  onattribname(start: number, end: number): void {
    this.attribute = this.html.slice(start, Math.min(end, start + 64)).toLowerCase();
    // The first of two attributes with the same name counts.
    this.value = READ.has(this.attribute) && !this.attributes.has(this.attribute) ? "" : undefined;
  }

  onattribdata(start: number, end: number): void {
    if (this.value !== undefined) this.value += this.html.slice(start, end);
  }

  onattribentity(point: number): void {
    if (this.value !== undefined) this.value += String.fromCodePoint(point);
  }

  onattribend(): void {
    if (this.value !== undefined) this.attributes.set(this.attribute, this.value);
  }

  onselfclosingtag(): void {
    this.open();
    if (this.foreign > 0) this.close(this.tag);
  }

  onopentagend(): void {
    this.open();
  }

  onclosetag(start: number, end: number): void {
    this.close(this.html.slice(start, Math.min(end, start + 64)).toLowerCase());
  }

  ontext(start: number, end: number): void {
    const text = this.html.slice(start, end);
    if (this.script) this.script.text.push(text);
    else if (!this.isStyle) this.text.push(text);
  }

  ontextentity(point: number): void {
    if (!this.script && !this.isStyle) this.text.push(String.fromCodePoint(point));
  }

  onend(): void {}
  oncdata(): void {}
  oncomment(): void {}
  ondeclaration(): void {}
  onprocessinginstruction(): void {}

  private open(): void {
    const { tag, attributes } = this;
    // These elements end an unclosed drawing.
    if (ENDS_DRAWING.has(tag)) this.foreign = 0;
    const isForeign = this.foreign > 0;
    if (tag === "svg" || tag === "math") this.foreign++;
    if (isForeign) return;
    if (tag === "noscript") this.isNoscript = true;
    if (tag === "template" && !attributes.has("shadowrootmode")) this.templates++;
    if (tag === "style") this.isStyle = true;
    if (tag === "script") this.script = { attributes, text: [] };
    if (!this.isInert()) this.note(tag, attributes);
  }

  private close(tag: string): void {
    if ((tag === "svg" || tag === "math") && this.foreign > 0) this.foreign--;
    if (tag === "template" && this.templates > 0) this.templates--;
    if (tag === "noscript") this.isNoscript = false;
    if (tag === "style") this.isStyle = false;
    if (tag === "script" && this.script) {
      const { attributes, text } = this.script;
      this.script = undefined;
      if (!this.isInert()) this.noteInline(attributes, text.join(""));
    }
  }

  private isInert(): boolean {
    return this.templates > 0 || this.isNoscript;
  }

  private noteInline(attributes: Attributes, text: string): void {
    const type = attributes.get("type") ?? "";
    if (JAVASCRIPT.test(type) && !attributes.has("src")) this.inline.push(text);
    if (/^importmap$/i.test(type)) for (const each of importsOf(text)) this.name(each, "other");
  }

  private note(tag: string, attributes: Attributes): void {
    const src = attributes.get("src");
    if (tag === "base") this.base ??= attributes.get("href");
    if (tag === "script" && JAVASCRIPT.test(attributes.get("type") ?? ""))
      this.name(src, attributes.has("nomodule") ? "other" : "script");
    if (tag === "link") {
      const kind = linked(attributes);
      if (kind) this.name(attributes.get("href"), kind);
    }
    if (tag === "img" || tag === "source") this.name(src ?? firstOfSet(attributes.get("srcset")), "other");
    if (tag === "video") this.name(attributes.get("poster"), "other");
    if (tag === "input" && /^image$/i.test(attributes.get("type") ?? "")) this.name(src, "other");
  }

  private name(address: string | undefined, kind: AssetKind): void {
    if (address && address.length <= LONGEST_ADDRESS && this.named.length < MOST_NAMED)
      this.named.push({ address, kind });
  }
}

/** The first URL of a `srcset`. Each is a size of the same image. */
function firstOfSet(set: string | undefined): string | undefined {
  return set
    ?.slice(0, LONGEST_ADDRESS)
    .split(/[\s,]+/)
    .find((part) => part !== "");
}

/** Scripts that an import map names by full path. A page loads those that it imports. */
function importsOf(text: string): string[] {
  if (text.length > 1_000_000) return [];
  try {
    const { imports } = JSON.parse(text) as { imports?: unknown };
    return Object.values(imports ?? {}).filter(
      (each): each is string => typeof each === "string" && /^(\/|\.)/.test(each) && !each.endsWith("/"),
    );
  } catch {
    return [];
  }
}

/**
 * Finds the service workers that a script registers with a literal URL: `navigator.serviceWorker.register("…")`, also
 * with `new URL("…", …)`, and Workbox's `new Workbox("…")`.
 * @param base base URL of the page
 * @param scriptUrl URL of the script, for `new URL("…", import.meta.url)`
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
    const given = /\bscope["']?\s*:\s*(["'`])([^"'`$]*)\1/.exec(options)?.[2];
    const scope = resolve(given ?? new URL(".", url).href, base);
    // A browser refuses a scope that is no URL.
    if (scope === undefined) continue;
    if (found.length === MOST_WORKERS) break;
    found.push({ url, scope });
  }
  return found;
}

function linked(attributes: Attributes): AssetKind | undefined {
  const rel = (attributes.get("rel") ?? "").toLowerCase().split(/\s+/);
  // A page does not need an alternate or a print stylesheet. A script in `onload` may turn a print stylesheet on.
  const turnedOn = attributes.has("onload");
  if (rel.includes("stylesheet")) {
    if (attributes.has("disabled") || !/^(|text\/css)$/i.test(attributes.get("type")?.trim() ?? ""))
      return undefined;
    const isPrint = /^\s*(print|speech)\s*$/i.test(attributes.get("media") ?? "");
    return rel.includes("alternate") || (isPrint && !turnedOn) ? "other" : "style";
  }
  if (rel.includes("modulepreload")) return "script";
  if (rel.includes("preload")) {
    const as = attributes.get("as")?.toLowerCase();
    return as === "script" || as === "style" ? as : "other";
  }
  return rel.some((word) => word === "icon" || word === "apple-touch-icon" || word === "manifest")
    ? "other"
    : undefined;
}

/** Resolves an http(s) URL without its fragment; undefined for other schemes and without an address. */
function resolve(address: string | undefined, base: string): string | undefined {
  const url = address?.trim() ? URL.parse(address.trim(), base) : null;
  if (!url) return undefined;
  url.hash = "";
  return /^https?:$/.test(url.protocol) ? url.href : undefined;
}
