import type { cacheStorage, Kept } from "./cacheStorage";

/** What a browser stores for a site between two visits. */
export interface Profile {
  readonly caches: readonly Kept[];
  /** Whether the worker enabled navigation preload. */
  readonly preload: boolean;
}

/** One run of a service worker: the script is evaluated, then it receives the events. */
export interface Life {
  readonly url: string;
  readonly scope: string;
  readonly script: string;
  /** URL → text of the scripts that it imports with `importScripts`. */
  readonly imports: Readonly<Record<string, string>>;
  readonly page: string;
  /** Network response at the page's URL, and at any URL that looks like a page. */
  readonly html: string;
  /** Prefix of the network responses at other URLs. */
  readonly stamp: string;
  readonly profile: Profile;
  readonly events: readonly ("install" | "activate" | "navigate")[];
}

export interface LifeResult {
  readonly profile: Profile;
  readonly skipsWaiting: boolean;
  readonly unregisters: boolean;
  /** Scripts that the worker imported and that were not available. */
  readonly missing: readonly string[];
  /** The worker's response to the navigation; undefined if it left the request to the network. */
  readonly body?: string;
  /** Why this run does not predict the worker's behaviour in a browser; empty if it does. */
  readonly error: string;
}

/**
 * Runs a service worker once. The function is sent as source text to a separate JavaScript engine, so it uses only its
 * arguments, the language and the globals of `makeWorld`. It turns the global object of that engine into the worker's.
 * @param run runs a script in the global scope
 * @param storage creates `caches`
 */
export async function replay(
  life: Life,
  run: (code: string, url: string) => void,
  storage: typeof cacheStorage,
): Promise<LifeResult> {
  const later = setTimeout;
  const world = globalThis as unknown as Record<string, unknown>;
  const kept = life.profile.caches.map((entry) => ({ ...entry }));
  const missing: string[] = [];
  let preload = life.profile.preload;
  let skipsWaiting = false;
  let unregisters = false;
  let error = "";
  const fail = (why: string) => {
    error ||= why;
  };
  const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

  /**
   * Creates a response of the network or of a cache: type `basic`, with its own URL. `json` reports data that is not
   * available.
   */
  const answerOf = (from: Omit<Kept, "cache">): Response => {
    // These statuses have no body, not even an empty one.
    const body = [204, 205, 304].includes(from.status) ? null : from.body;
    const headers = from.headers.map(([name, value]): [string, string] => [name, value]);
    const response = new Response(body, { status: from.status, headers });
    const json = async () => {
      try {
        return JSON.parse(await response.text());
      } catch (cause) {
        fail(`it reads data from ${from.url}, which is not available`);
        throw cause;
      }
    };
    const own = { type: "basic", url: from.url, clone: () => answerOf(from), json };
    for (const [name, value] of Object.entries(own)) Object.defineProperty(response, name, { value });
    return response;
  };

  class WorkerRequest extends Request {
    constructor(input: string | URL | Request, init?: RequestInit) {
      super(input instanceof Request ? input : new URL(String(input), life.url), init);
    }
  }

  const network = (url: string): Response => {
    const { pathname } = new URL(url);
    const extension = /\.(\w+)$/.exec(pathname)?.[1] ?? "html";
    const known: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css" };
    const type = known[extension] ?? "application/octet-stream";
    const isPage = url.split("#")[0] === life.page || extension === "html";
    return answerOf({
      url,
      status: 200,
      headers: [["content-type", isPage ? "text/html" : type]],
      body: isPage ? life.html : `${life.stamp} ${url}`,
    });
  };
  const fetchIt = async (input: string | URL | Request, init?: RequestInit) =>
    network(new WorkerRequest(input, init).url);

  const caches = storage(kept, {
    request: (input) => new WorkerRequest(input),
    answer: answerOf,
    fetch: fetchIt,
  });

  class ExtendableEvent extends Event {
    readonly promises: Promise<unknown>[] = [];
    waitUntil(promise: unknown): void {
      this.promises.push(Promise.resolve(promise));
    }
  }
  class FetchEvent extends ExtendableEvent {
    readonly request: Request;
    readonly preloadResponse = Promise.resolve(preload ? network(life.page) : undefined);
    readonly handled = Promise.resolve();
    readonly clientId = "";
    readonly resultingClientId = "page";
    answer?: Promise<unknown>;
    dispatched = false;
    constructor(type: string, request: Request) {
      super(type);
      this.request = request;
    }
    respondWith(response: unknown): void {
      if (this.answer || this.dispatched) throw new Error("respondWith comes too late");
      this.answer = Promise.resolve(response);
      this.answer.catch(() => {});
    }
  }

  type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };
  const listeners: { type: string; listener: Listener }[] = [];
  const dispatch = (event: Event) => {
    const own = world[`on${event.type}`];
    const called = listeners.filter(({ type }) => type === event.type).map(({ listener }) => listener);
    for (const listener of typeof own === "function" ? [...called, own as Listener] : called)
      try {
        if (typeof listener === "function") listener.call(globalThis, event);
        else listener.handleEvent(event);
      } catch (cause) {
        fail(`it throws: ${reason(cause)}`);
      }
  };
  const settle = async ({ promises }: ExtendableEvent) => {
    // The list may grow during the wait.
    for (let at = 0; at < promises.length; at++) await promises[at];
  };
  /** Rejects after 1 s. A timeout says nothing about the worker. */
  const soon = <T>(promise: Promise<T>, what: string): Promise<T> =>
    Promise.race([
      promise,
      new Promise<T>((_, reject) => later(() => reject(new Error(`${what} takes more than 1 s`)), 1000)),
    ]);

  const nothing = async () => undefined;
  const registration = {
    scope: life.scope,
    active: { scriptURL: life.url, state: "activated", postMessage: () => {} },
    installing: null,
    waiting: null,
    unregister: async () => {
      unregisters = true;
      return true;
    },
    update: nothing,
    showNotification: nothing,
    getNotifications: async () => [],
    addEventListener: () => {},
    navigationPreload: {
      enable: async () => {
        preload = true;
      },
      disable: async () => {
        preload = false;
      },
      setHeaderValue: nothing,
      getState: async () => ({ enabled: preload, headerValue: "true" }),
    },
  };
  const silent = () => {};
  const scopeClass = () => {};
  Object.defineProperty(scopeClass, Symbol.hasInstance, { value: (value: unknown) => value === globalThis });
  const globals: Record<string, unknown> = {
    self: globalThis,
    location: new URL(life.url),
    caches,
    registration,
    serviceWorker: registration.active,
    clients: { claim: nothing, matchAll: async () => [], get: nothing, openWindow: async () => null },
    skipWaiting: async () => {
      skipsWaiting = true;
    },
    fetch: fetchIt,
    Request: WorkerRequest,
    ExtendableEvent,
    FetchEvent,
    ServiceWorkerGlobalScope: scopeClass,
    WorkerGlobalScope: scopeClass,
    importScripts: (...urls: string[]) => {
      for (const url of urls.map((each) => new URL(each, life.url).href)) {
        const code = life.imports[url];
        if (code !== undefined) run(code, url);
        else {
          missing.push(url);
          fail(`it imports ${url}, which is not available`);
          throw new Error(`${url} is not available`);
        }
      }
    },
    addEventListener: (type: string, listener: Listener) => listeners.push({ type, listener }),
    removeEventListener: (type: string, listener: Listener) => {
      const at = listeners.findIndex((each) => each.type === type && each.listener === listener);
      if (at >= 0) listeners.splice(at, 1);
    },
    dispatchEvent: dispatch,
    console: Object.fromEntries(Object.keys(console).map((name) => [name, silent])),
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(world, name, { value, writable: true, configurable: true });

  let body: string | undefined;
  try {
    run(life.script, life.url);
    for (const type of life.events) {
      if (type !== "navigate") {
        const event = new ExtendableEvent(type);
        dispatch(event);
        // A failed install discards the worker. A promise of activate may fail.
        const settled = soon(settle(event), type);
        await (type === "install" ? settled : settled.catch(() => {}));
        continue;
      }
      const request = new WorkerRequest(life.page, { headers: { accept: "text/html,*/*;q=0.8" } });
      const facts = { mode: "navigate", destination: "document", redirect: "manual" };
      for (const [name, value] of Object.entries(facts)) Object.defineProperty(request, name, { value });
      const event = new FetchEvent("fetch", request);
      dispatch(event);
      event.dispatched = true;
      body = undefined;
      if (event.answer) {
        const response = await soon(event.answer, "its answer");
        if (!(response instanceof Response) || response.type === "error")
          throw new Error("it answers nothing");
        body = await soon(response.text(), "its answer");
      }
      await soon(settle(event), "its work").catch(() => {});
      // Work without waitUntil, such as filling a cache, gets a moment too.
      await new Promise((done) => later(done, 20));
    }
  } catch (cause) {
    fail(reason(cause));
  }
  return { profile: { caches: kept, preload }, skipsWaiting, unregisters, missing, body, error };
}
