type Input = string | { readonly href: string } | { readonly url: string };
type Init = Readonly<Record<string, unknown>>;
type Pairs = [string, string][];
type UrlParts = Record<string, string> & { readonly href: string; readonly search: string };

/**
 * Parses a URL against a base, sets the part that `part` names, and returns all parts as JSON; `""` if the URL is
 * invalid.
 */
export type ParseUrl = (address: string, base: string, part: string, value: string) => string;

/**
 * Defines the web APIs that a service worker's script uses, in a JavaScript engine without them: URLs, headers,
 * requests, responses, events, timers. The function is sent as source text, so it uses only its arguments and the
 * language. Timers do not wait: time advances to the next timer immediately.
 * @returns a function that runs the next timer and returns whether there was one
 */
export function makeWorld(world: Record<string, unknown>, parseUrl: ParseUrl): () => boolean {
  const listOf = (init: unknown): Pairs => {
    if (init === undefined || init === null) return [];
    const given = init as Iterable<readonly [unknown, unknown]> & Record<string, unknown>;
    const pairs = typeof given[Symbol.iterator] === "function" ? [...given] : Object.entries(given);
    return pairs.map(([name, value]) => [String(name), String(value)]);
  };
  const toBinary = (text: string) => unescape(encodeURIComponent(text.toWellFormed()));
  const toText = (binary: string) => {
    try {
      return decodeURIComponent(escape(binary));
    } catch {
      return binary.replace(/[\u0080-\u00ff]/g, "\ufffd");
    }
  };
  const bytesOf = (text: string) => Uint8Array.from(toBinary(text), (character) => character.charCodeAt(0));
  const textOfBytes = (bytes: Uint8Array) => {
    let binary = "";
    for (let at = 0; at < bytes.length; at += 8192)
      binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return toText(binary);
  };

  class SearchParams {
    list: Pairs;
    changed: (search: string) => void = () => {};
    constructor(init?: unknown) {
      const isText = typeof init === "string";
      this.list = isText ? SearchParams.read(init) : listOf(init);
    }
    static read(text: string): Pairs {
      const decode = (part: string) =>
        toText(
          part
            .replace(/\+/g, " ")
            .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
        );
      const parts = text.replace(/^\?/, "").split("&");
      return parts
        .filter((part) => part !== "")
        .map((part) => {
          const at = part.indexOf("=");
          return at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
        });
    }
    get size() {
      return this.list.length;
    }
    get(name: string) {
      return this.list.find(([each]) => each === String(name))?.[1] ?? null;
    }
    getAll(name: string) {
      return this.list.filter(([each]) => each === String(name)).map(([, value]) => value);
    }
    has(name: string) {
      return this.list.some(([each]) => each === String(name));
    }
    append(name: string, value: string) {
      this.list.push([String(name), String(value)]);
      this.changed(this.toString());
    }
    set(name: string, value: string) {
      const at = this.list.findIndex(([each]) => each === String(name));
      const rest = this.list.filter(([each], place) => each !== String(name) || place === at);
      if (at < 0) rest.push([String(name), String(value)]);
      else rest[at] = [String(name), String(value)];
      this.list = rest;
      this.changed(this.toString());
    }
    delete(name: string) {
      this.list = this.list.filter(([each]) => each !== String(name));
      this.changed(this.toString());
    }
    sort() {
      this.list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.changed(this.toString());
    }
    forEach(each: (value: string, name: string) => void) {
      for (const [name, value] of this.list) each(value, name);
    }
    keys() {
      return this.list.map(([name]) => name).values();
    }
    values() {
      return this.list.map(([, value]) => value).values();
    }
    entries() {
      return this.list.values();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      const encode = (part: string) =>
        encodeURIComponent(part.toWellFormed())
          .replace(/%20/g, "+")
          .replace(/[!'()~]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
      return this.list.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
    }
  }

  const PARTS = "href protocol username password host hostname port pathname search hash".split(" ");
  class Url {
    parts: UrlParts;
    searchParams: SearchParams;
    constructor(address: unknown, base?: unknown) {
      const said = parseUrl(String(address), base === undefined ? "" : String(base), "", "");
      if (said === "") throw new TypeError(`Invalid URL: ${address}`);
      this.parts = JSON.parse(said);
      this.searchParams = new SearchParams(this.parts.search);
      this.searchParams.changed = (search) => this.change("search", search);
    }
    static canParse(address: unknown, base?: unknown) {
      return parseUrl(String(address), base === undefined ? "" : String(base), "", "") !== "";
    }
    static parse(address: unknown, base?: unknown) {
      return Url.canParse(address, base) ? new Url(address, base) : null;
    }
    change(part: string, value: unknown) {
      const said = parseUrl(this.parts.href, "", part, String(value));
      if (said !== "") this.parts = JSON.parse(said);
      this.searchParams.list = SearchParams.read(this.parts.search);
    }
    get origin() {
      return this.parts.origin;
    }
    toString() {
      return this.parts.href;
    }
    toJSON() {
      return this.parts.href;
    }
  }
  for (const part of PARTS)
    Object.defineProperty(Url.prototype, part, {
      configurable: true,
      get(this: Url) {
        return this.parts[part];
      },
      set(this: Url, value: unknown) {
        this.change(part, value);
      },
    });

  class HeaderList {
    map = new Map<string, string>();
    constructor(init?: unknown) {
      for (const [name, value] of listOf(init)) this.append(name, value);
    }
    get(name: string) {
      return this.map.get(String(name).toLowerCase()) ?? null;
    }
    has(name: string) {
      return this.map.has(String(name).toLowerCase());
    }
    set(name: string, value: string) {
      this.map.set(String(name).toLowerCase(), String(value).trim());
    }
    append(name: string, value: string) {
      const before = this.get(name);
      this.set(name, before === null ? value : `${before}, ${value}`);
    }
    delete(name: string) {
      this.map.delete(String(name).toLowerCase());
    }
    getSetCookie() {
      return this.has("set-cookie") ? [this.get("set-cookie")] : [];
    }
    forEach(each: (value: string, name: string) => void) {
      for (const [name, value] of this) each(value, name);
    }
    keys() {
      return [...this].map(([name]) => name).values();
    }
    values() {
      return [...this].map(([, value]) => value).values();
    }
    entries() {
      return this[Symbol.iterator]();
    }
    [Symbol.iterator]() {
      return [...this.map].sort(([a], [b]) => (a < b ? -1 : 1)).values();
    }
  }

  class Blob {
    content: string;
    type: string;
    constructor(parts: readonly unknown[] = [], options: { type?: string } = {}) {
      this.content = parts.map((part) => contentOf(part)).join("");
      this.type = options.type ?? "";
    }
    get size() {
      return toBinary(this.content).length;
    }
    text = async () => this.content;
    arrayBuffer = async () => bytesOf(this.content).buffer;
    stream = () => new Stream(this.content);
  }

  /** A body as a stream with one chunk. */
  class Stream {
    content: string;
    locked = false;
    constructor(content: unknown = "") {
      this.content = typeof content === "string" ? content : "";
      if (typeof content === "object") throw new TypeError("a stream of the script's own is not available");
    }
    getReader() {
      this.locked = true;
      let isRead = false;
      const read = async () => {
        const value = isRead ? undefined : bytesOf(this.content);
        isRead = true;
        return { done: value === undefined, value };
      };
      return { read, cancel: async () => {}, releaseLock: () => {}, closed: Promise.resolve() };
    }
    tee() {
      return [new Stream(this.content), new Stream(this.content)];
    }
    cancel = async () => {};
  }

  const contentOf = (body: unknown): string => {
    if (body === undefined || body === null) return "";
    if (body instanceof Stream || body instanceof Blob) return body.content;
    if (body instanceof ArrayBuffer) return textOfBytes(new Uint8Array(body));
    if (ArrayBuffer.isView(body))
      return textOfBytes(new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength));
    return String(body);
  };

  class Message {
    headers: HeaderList;
    content: string;
    hasBody: boolean;
    bodyUsed = false;
    constructor(headers: unknown, body: unknown) {
      this.headers = new HeaderList(headers);
      this.hasBody = body !== undefined && body !== null;
      this.content = contentOf(body);
    }
    get body() {
      return this.hasBody ? new Stream(this.content) : null;
    }
    async text() {
      if (this.bodyUsed) throw new TypeError("the body is used already");
      this.bodyUsed = this.hasBody;
      return this.content;
    }
    async json() {
      return JSON.parse(await this.text());
    }
    async arrayBuffer() {
      return bytesOf(await this.text()).buffer;
    }
    async bytes() {
      return bytesOf(await this.text());
    }
    async blob() {
      return new Blob([await this.text()], { type: this.headers.get("content-type") ?? "" });
    }
  }

  class Signal {
    aborted = false;
    reason: unknown;
    onabort = null;
    addEventListener() {}
    removeEventListener() {}
    throwIfAborted() {
      if (this.aborted) throw this.reason;
    }
    static timeout() {
      return new Signal();
    }
  }
  class AbortController {
    signal = new Signal();
    abort(reason: unknown = new Error("aborted")) {
      this.signal.aborted = true;
      this.signal.reason = reason;
    }
  }

  class WebRequest extends Message {
    init: Init;
    address: string;
    constructor(input: Input, init: Init = {}) {
      const from = input instanceof WebRequest ? input : undefined;
      super(init.headers ?? from?.headers, init.body ?? (from?.hasBody ? from.content : undefined));
      this.init = { ...from?.init, ...init };
      this.address = new Url(from ? from.address : String(input)).parts.href;
    }
    get url() {
      return this.address;
    }
    get method() {
      return String(this.init.method ?? "GET").toUpperCase();
    }
    get mode() {
      return this.init.mode ?? "cors";
    }
    get destination() {
      return this.init.destination ?? "";
    }
    get redirect() {
      return this.init.redirect ?? "follow";
    }
    get credentials() {
      return this.init.credentials ?? "same-origin";
    }
    get cache() {
      return this.init.cache ?? "default";
    }
    get integrity() {
      return this.init.integrity ?? "";
    }
    get referrer() {
      return this.init.referrer ?? "about:client";
    }
    get referrerPolicy() {
      return this.init.referrerPolicy ?? "";
    }
    get keepalive() {
      return false;
    }
    get signal() {
      return this.init.signal ?? new Signal();
    }
    clone() {
      const { mode, destination, redirect } = this;
      return new WebRequest(this as Input, { mode, destination, redirect });
    }
  }

  class WebResponse extends Message {
    init: Init;
    constructor(body?: unknown, init: Init = {}) {
      super(init.headers, body);
      this.init = init;
      if (body instanceof Blob && body.type !== "" && !this.headers.has("content-type"))
        this.headers.set("content-type", body.type);
      if (typeof body === "string" && !this.headers.has("content-type"))
        this.headers.set("content-type", "text/plain;charset=UTF-8");
      if (this.status !== 0 && (this.status < 200 || this.status > 599))
        throw new RangeError(`no status: ${this.status}`);
    }
    static error() {
      return new WebResponse(null, { status: 0, type: "error" });
    }
    static redirect(to: unknown, status = 302) {
      const headers = { location: String(to) };
      return new WebResponse(null, { status, headers });
    }
    static json(value: unknown, init: Init = {}) {
      const headers = new HeaderList(init.headers);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new WebResponse(JSON.stringify(value), { ...init, headers });
    }
    get status() {
      return Number(this.init.status ?? 200);
    }
    get statusText() {
      return String(this.init.statusText ?? "");
    }
    get ok() {
      return this.status >= 200 && this.status < 300;
    }
    get type() {
      return String(this.init.type ?? "default");
    }
    get url() {
      return "";
    }
    get redirected() {
      return false;
    }
    clone() {
      if (this.bodyUsed) throw new TypeError("the body is used already");
      const { init, headers } = this;
      return new WebResponse(this.hasBody ? this.content : null, { ...init, headers });
    }
  }

  class WebEvent {
    type: string;
    init: Init;
    defaultPrevented = false;
    constructor(type: string, init: Init = {}) {
      this.type = type;
      this.init = init;
    }
    get detail() {
      return this.init.detail ?? null;
    }
    get data() {
      return this.init.data;
    }
    preventDefault() {
      this.defaultPrevented = true;
    }
    stopPropagation() {}
    stopImmediatePropagation() {}
  }
  class Target {
    heard: { type: string; listener: unknown }[] = [];
    addEventListener(type: string, listener: unknown) {
      this.heard.push({ type, listener });
    }
    removeEventListener(type: string, listener: unknown) {
      this.heard = this.heard.filter((each) => each.type !== type || each.listener !== listener);
    }
    dispatchEvent(event: WebEvent) {
      for (const { type, listener } of this.heard)
        if (type === event.type && typeof listener === "function") listener.call(this, event);
      return true;
    }
  }

  let now = 0;
  let last = 0;
  const timers = new Map<number, { at: number; every?: number; run: () => void }>();
  const start = (work: unknown, after: unknown, args: unknown[], repeats: boolean) => {
    const wait = Math.max(repeats ? 1 : 0, Number(after) || 0);
    const run = () => {
      if (typeof work === "function") work(...args);
    };
    timers.set(++last, { at: now + wait, run, ...(repeats && { every: wait }) });
    return last;
  };
  const stop = (id: number) => void timers.delete(id);
  const next = () => {
    const [first] = [...timers].sort(([, a], [, b]) => a.at - b.at);
    if (!first) return false;
    const [id, timer] = first;
    now = timer.at;
    if (timer.every === undefined) timers.delete(id);
    else timer.at += timer.every;
    timer.run();
    return true;
  };

  const PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const globals: Record<string, unknown> = {
    URL: Url,
    URLSearchParams: SearchParams,
    Headers: HeaderList,
    Request: WebRequest,
    Response: WebResponse,
    Blob,
    ReadableStream: Stream,
    AbortController,
    AbortSignal: Signal,
    Event: WebEvent,
    CustomEvent: class CustomEvent extends WebEvent {},
    MessageEvent: class MessageEvent extends WebEvent {},
    EventTarget: Target,
    DOMException: class DOMException extends Error {
      constructor(message = "", name = "Error") {
        super(message);
        this.name = name;
      }
    },
    TextEncoder: class TextEncoder {
      encoding = "utf-8";
      encode = (text = "") => bytesOf(String(text));
    },
    TextDecoder: class TextDecoder {
      encoding = "utf-8";
      decode = (bytes?: unknown) => contentOf(bytes);
    },
    console: Object.fromEntries(
      "log info warn error debug trace group groupCollapsed groupEnd table time timeEnd assert dir"
        .split(" ")
        .map((name) => [name, () => {}]),
    ),
    setTimeout: (work: unknown, after?: unknown, ...args: unknown[]) => start(work, after, args, false),
    setInterval: (work: unknown, after?: unknown, ...args: unknown[]) => start(work, after, args, true),
    clearTimeout: stop,
    clearInterval: stop,
    queueMicrotask: (work: () => void) => void Promise.resolve().then(work),
    structuredClone: (value: unknown) =>
      value === undefined ? undefined : JSON.parse(JSON.stringify(value)),
    performance: { now: () => now, timeOrigin: 0, mark: () => {}, measure: () => {} },
    navigator: { userAgent: "Mozilla/5.0", onLine: true, language: "en", storage: {} },
    crypto: {
      getRandomValues: (into: Uint8Array) => into.map(() => Math.floor(Math.random() * 256)),
      randomUUID: () => "10000000-1000-4000-8000-100000000000",
    },
    btoa: (text: unknown) => {
      const binary = String(text);
      const codeAt = (place: number) => binary.charCodeAt(place) || 0;
      let out = "";
      for (let at = 0; at < binary.length; at += 3) {
        const bits = (codeAt(at) << 16) | (codeAt(at + 1) << 8) | codeAt(at + 2);
        const four = [18, 12, 6, 0].map((shift) => PLAIN[(bits >> shift) & 63]).join("");
        const left = binary.length - at;
        out += left >= 3 ? four : `${four.slice(0, left + 1)}${"=".repeat(3 - left)}`;
      }
      return out;
    },
    atob: (text: unknown) => {
      let [bits, size, out] = [0, 0, ""];
      for (const character of String(text).replace(/[\s=]/g, "")) {
        bits = ((bits << 6) | PLAIN.indexOf(character)) & 0xffffff;
        size += 6;
        if (size >= 8) {
          size -= 8;
          out += String.fromCharCode((bits >> size) & 255);
        }
      }
      return out;
    },
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(world, name, { value, writable: true, configurable: true });
  return next;
}
