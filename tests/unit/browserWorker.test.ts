import { describe, expect, it } from "@jest/globals";
import { FAREWELL_WORKER } from "../../freshness/browser";
import { judgeUpdate, judgeWorker, type WorkerFacts } from "../../freshness/browser/worker";
import { liveApart } from "../../proof/workerLife";

const PAGE = { url: "https://a.test/", oldHtml: "<p>old</p>", newHtml: "<p>new</p>" };
const worker = (script: string, imports: Record<string, string> = {}): WorkerFacts => ({
  url: "https://a.test/sw.js",
  scope: "https://a.test/",
  status: 200,
  script,
  imports,
});
const precache = (version: string) =>
  `addEventListener("install", (e) => e.waitUntil(caches.open("${version}").then((c) => c.addAll(["/", "/app.js"]))));`;
const CACHE_FIRST =
  "self.onfetch = (e) => e.respondWith(caches.match(e.request).then((hit) => hit || fetch(e.request)));";
const NETWORK_FIRST = `addEventListener("fetch", (e) => {
  if (e.request.mode !== "navigate") return;
  e.respondWith(fetch(e.request).then(async (r) => {
    await (await caches.open("pages")).put(e.request, r.clone());
    return r;
  }).catch(() => caches.match(e.request)));
});`;
const STALE_WHILE_REVALIDATE = `addEventListener("fetch", (e) => e.respondWith((async () => {
  const cache = await caches.open("pages");
  const hit = await cache.match(e.request);
  const update = fetch(e.request).then((r) => { if (r.ok && r.type === "basic") cache.put(e.request, r.clone()); return r; });
  return hit ?? update;
})()));`;
const APP_SHELL = `${precache("v1").replace('"/"', '"/index.html"')}
addEventListener("fetch", (e) => {
  if (e.request.destination === "document") e.respondWith(caches.match("/index.html", { ignoreSearch: true }));
});`;

describe.each([
  ["cache-first", worker(precache("v1") + CACHE_FIRST), "stale"],
  ["stale-while-revalidate", worker(STALE_WHILE_REVALIDATE), "stale"],
  ["app-shell", worker(APP_SHELL), "stale"],
  [
    "imported cache-first",
    worker('importScripts("lib.js")', { "https://a.test/lib.js": precache("v1") + CACHE_FIRST }),
    "stale",
  ],
  ["network-first", worker(NETWORK_FIRST), "fresh"],
  ["cache-first only for assets", worker(precache("v1").replace('"/", ', "") + CACHE_FIRST), "fresh"],
  ["empty", worker(""), "fresh"],
  [
    "push",
    worker('addEventListener("push", (e) => e.waitUntil(registration.showNotification("hi")));'),
    "fresh",
  ],
  ["own-removal", worker(FAREWELL_WORKER), "fresh"],
  [
    "preloading",
    worker(`addEventListener("activate", (e) => e.waitUntil(registration.navigationPreload.enable()));
    addEventListener("fetch", (e) => e.respondWith(e.preloadResponse.then((r) => r ?? caches.match(e.request))));`),
    "fresh",
  ],
  ["throwing", worker('throw new Error("no");'), "unknown"],
  ["throwing on a request", worker("onfetch = () => nothing.there;"), "unknown"],
  ["silent", worker("onfetch = (e) => e.respondWith(new Promise(() => {}));"), "unknown"],
  ["not installing", worker('oninstall = (e) => e.waitUntil(Promise.reject(new Error("no")));'), "unknown"],
  [
    "data-reading",
    worker('oninstall = (e) => e.waitUntil(fetch("/ngsw.json").then((r) => r.json()).catch(() => {}));'),
    "unknown",
  ],
  ["importing a missing script", worker('importScripts("https://cdn.test/workbox.js");'), "unknown"],
  ["prying", worker('globalThis.constructor.constructor("return process")().exit();'), "unknown"],
])("A %s worker", (_, { ...facts }, shows) => {
  it(`is ${shows} at the first load after a deploy`, async () => {
    expect((await judgeWorker(facts, PAGE, liveApart)).shows).toBe(shows);
  });
});

it("a worker that keeps an unchanged page is fresh", async () => {
  const same = { ...PAGE, newHtml: PAGE.oldHtml };
  expect((await judgeWorker(worker(precache("v1") + CACHE_FIRST), same, liveApart)).shows).toBe("fresh");
});

describe("the worker of a new release", () => {
  const before = worker(precache("v1") + CACHE_FIRST);
  const takeOver = 'addEventListener("install", () => skipWaiting());';
  const own = (name: string) =>
    CACHE_FIRST.replace("caches.match(e.request)", `caches.open("${name}").then((c) => c.match(e.request))`);
  it.each([
    ["removes itself", FAREWELL_WORKER, "fresh"],
    ["asks the network first and takes over", NETWORK_FIRST + takeOver, "fresh"],
    ["has the new page in its own cache and takes over", precache("v2") + own("v2") + takeOver, "fresh"],
    [
      "removes the old caches as it installs",
      'oninstall = (e) => e.waitUntil(caches.delete("v1"));',
      "fresh",
    ],
    ["uses the network first but waits", NETWORK_FIRST, "stale"],
    ["takes over with the old cache", CACHE_FIRST + takeOver, "stale"],
    ["cannot be tried", "nothing.there", "unknown"],
  ])("that %s shows at the second load what is its", async (_, script, shows) => {
    const { profile } = await judgeWorker(before, PAGE, liveApart);
    const update = await judgeUpdate({ before, after: worker(script) }, PAGE, profile, liveApart);
    expect(update.shows).toBe(shows);
  });
});
