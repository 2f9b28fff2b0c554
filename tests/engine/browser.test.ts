import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { FAREWELL_WORKER, type PageFacts } from "../../freshness/browser";
import type { Verdict } from "../../freshness/chain";
import { proveBrowser, readBrowserBefore } from "../../proof/browserFacts";
import { Browser, type Tab } from "../support/chromium";

/** What a site answers at a path; 404 elsewhere. */
type Routes = Readonly<Record<string, { readonly headers: Record<string, string>; readonly body: string }>>;

/** A page that tells what each load of a tab showed. */
const page = (text: string, headers: Record<string, string>, script = ""): Routes => ({
  "/": {
    headers: { "content-type": "text/html", ...headers },
    body: `<!doctype html><p>${text}</p><link rel=icon href="data:,"><script>${script}
      sessionStorage.loads = [sessionStorage.loads, "${text}"].filter(Boolean).join(" ");</script>`,
  },
});
const NO_CACHE = { "cache-control": "no-cache" };
const plain = (headers: Record<string, string>) => ({ old: page("old", headers), new: page("new", headers) });
/** Both releases' pages register /sw.js; a release without a script has none there. */
const workers = (old: string, next: string | undefined) => {
  const routes = (text: string, body: string | undefined): Routes => ({
    ...page(text, NO_CACHE, 'navigator.serviceWorker.register("/sw.js");'),
    ...(body !== undefined && { "/sw.js": { headers: { "content-type": "text/javascript" }, body } }),
  });
  return { old: routes("old", old), new: routes("new", next) };
};

const cacheFirst = (version: string) => `
addEventListener("install", (event) => event.waitUntil(
  caches.open("${version}").then((cache) => cache.add("/")).then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.respondWith(
  caches.open("${version}").then((cache) => cache.match(event.request)).then((hit) => hit ?? fetch(event.request))));`;
const NETWORK_FIRST = `
addEventListener("install", () => skipWaiting());
addEventListener("fetch", (event) => event.respondWith(fetch(event.request).then(async (answer) => {
  if (event.request.mode === "navigate") await (await caches.open("pages")).put(event.request, answer.clone());
  return answer;
}).catch(() => caches.match(event.request))));`;
const WAITS = cacheFirst("v2").replace(".then(() => skipWaiting())", "");

const SITES = {
  fresh: plain(NO_CACHE),
  next: plain({ "cache-control": "private, no-cache, no-store, max-age=0, must-revalidate" }),
  revalidated: plain({ "cache-control": "max-age=0, stale-while-revalidate=3600" }),
  kept: plain({ "cache-control": "max-age=3600" }),
  heuristic: plain({ "last-modified": "Mon, 05 Jan 2015 00:00:00 GMT" }),
  networkFirst: workers(NETWORK_FIRST, NETWORK_FIRST),
  cacheFirst: workers(cacheFirst("v1"), cacheFirst("v1")),
  versioned: workers(cacheFirst("v1"), cacheFirst("v2")),
  waiting: workers(cacheFirst("v1"), WAITS),
  removed: workers(cacheFirst("v1"), undefined),
  farewell: workers(cacheFirst("v1"), FAREWELL_WORKER),
};
type SiteName = keyof typeof SITES;

const folder = mkdtempSync(join(tmpdir(), "watch-party-browser-"));
const servers: Server[] = [];
const urls = {} as Record<SiteName, string>;
const before = {} as Record<SiteName, readonly PageFacts[]>;
let release: "old" | "new" = "old";
let browser: Browser;

/** A browser visits every site's old release and is closed; the sites get their new releases; it comes back. */
beforeAll(async () => {
  const names = Object.keys(SITES) as SiteName[];
  for (const name of names) {
    urls[name] = await serve((path) => SITES[name][release][path]);
    before[name] = await readBrowserBefore(urls[name], ["/"]);
  }
  browser = new Browser(folder);
  for (const name of names) {
    const tab = await browser.open(urls[name]);
    if ("/sw.js" in SITES[name].old) {
      await tab.is("navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated')");
      await tab.reload();
    }
    expect(await tab.loads()).toMatch(/^old( old)?$/);
    await tab.close();
  }
  await browser.close();
  release = "new";
  browser = new Browser(folder);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  for (const server of servers) server.close().closeAllConnections();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function comeBack(name: SiteName): Promise<{ verdict: Verdict; tab: Tab }> {
  const verdicts = await proveBrowser(urls[name], "frontend", ["/"], before[name]);
  expect(verdicts).toHaveLength(1);
  return { verdict: verdicts[0]!, tab: await browser.open(urls[name]) };
}

describe("A browser that was there yesterday", () => {
  it.each(["fresh", "next", "revalidated", "networkFirst"] as const)(
    "gets the new page at once if the link is proven (%s)",
    async (name) => {
      const { verdict, tab } = await comeBack(name);
      expect(verdict).toMatchObject({ link: "browser", service: "frontend", status: "proven" });
      await tab.reload();
      expect(await tab.loads()).toBe("new new");
    },
  );

  it("shows an old page that its cache may keep", async () => {
    const { verdict, tab } = await comeBack("kept");
    expect(verdict).toMatchObject({ status: "broken", found: "3600 s (Cache-Control: max-age=3600)" });
    expect(await tab.loads()).toBe("old");
  });

  it("shows an old page that it guesses to be fresh, and the link is not proven", async () => {
    const verdicts = await proveBrowser(urls.heuristic, "frontend", ["/"], before.heuristic);
    expect(verdicts).toContainEqual(
      expect.objectContaining({
        status: "not checked",
        evidence: expect.stringContaining("Last-Modified: Mon, 05 Jan 2015"),
      }),
    );
    expect(verdicts.filter(({ status }) => status === "broken")).toEqual([]);
    expect(await (await browser.open(urls.heuristic)).loads()).toBe("old");
  });

  it.each(["cacheFirst", "removed"] as const)(
    "shows the old page for ever if nothing replaces its worker (%s)",
    async (name) => {
      const { verdict, tab } = await comeBack(name);
      expect(verdict).toMatchObject({
        status: "broken",
        expected: "a worker that asks the network first",
        found: "the old release's worker /sw.js answers navigations from its cache",
      });
      // Rejected where the script is gone: the browser has looked, and keeps what it has.
      await tab.is("navigator.serviceWorker.ready.then((r) => r.update()).then(() => true, () => true)");
      await tab.reload();
      expect(await tab.loads()).toBe("old old");
    },
  );

  it("shows the old page while the new worker waits", async () => {
    const { verdict, tab } = await comeBack("waiting");
    expect(verdict.status).toBe("broken");
    await tab.is("navigator.serviceWorker.ready.then((r) => r.waiting !== null)");
    await tab.reload();
    expect(await tab.loads()).toBe("old old");
  });

  it("shows the new page from the second load if the new worker takes over", async () => {
    const { verdict, tab } = await comeBack("versioned");
    expect(verdict.status).toBe("proven");
    expect(verdict.evidence).toContain("from the second load on");
    await tab.is(
      "navigator.serviceWorker.ready.then(async (r) => await caches.has('v2') && !r.installing && !r.waiting)",
    );
    await tab.reload();
    expect(await tab.loads()).toBe("old new");
  });

  it("gets the new page if a worker that removes itself replaces the old one", async () => {
    const { verdict, tab } = await comeBack("farewell");
    expect(verdict.status).toBe("proven");
    await tab.is("sessionStorage.loads === 'old new'");
  });
});

async function serve(answer: (path: string) => Routes[string] | undefined): Promise<string> {
  const server = createServer((request, response) => {
    const route = answer(request.url!);
    response.writeHead(route ? 200 : 404, route?.headers ?? { "content-type": "text/plain" });
    response.end(route?.body ?? "not found");
  });
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
