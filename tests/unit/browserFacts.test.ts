import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { collectPage, proveBrowser, readBrowserBefore } from "../../proof/browserFacts";

/** Path → [status, content type or target of a redirect, body]. */
type Site = Record<string, readonly [status: number, type: string, body?: string]>;

let site: Site;
let url: string;
let server: Server;
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url!);
    const [status, type, body] = site[request.url!] ?? [404, "text/html", "<p>not found</p>"];
    const headers: Record<string, string> =
      status < 400 && status >= 300 ? { location: type } : { "content-type": type };
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => server.close().closeAllConnections());

const html = (body: string) => [200, "text/html; charset=utf-8", body] as const;
const script = (body: string) => [200, "text/javascript", body] as const;

describe("collectPage", () => {
  it("reads a page with its assets and the workers that its scripts register, with what those import", async () => {
    site = {
      "/": html('<script src="/main.js"></script><link rel="stylesheet" href="/gone.css"><img src="/i.png">'),
      "/main.js": script('navigator.serviceWorker.register("/js/w.js", { scope: "/" })'),
      "/i.png": [302, "https://cdn.test/i.png"],
      "/js/w.js": script('importScripts("a.js", "https://cdn.test/x.js");'),
      "/js/a.js": script('importScripts("/b.js");'),
      "/b.js": script("self.b = 1;"),
      "/sw.js": html("<p>every address is this page</p>"),
      "/service-worker.js": script("self.known = 1;"),
    };
    const page = await collectPage(`${url}/`);
    expect(page.assets).toEqual([
      { url: `${url}/main.js`, kind: "script", status: 200, contentType: "text/javascript", kept: false },
      { url: `${url}/gone.css`, kind: "style", status: 404, contentType: "text/html", kept: false },
      { url: `${url}/i.png`, kind: "other", status: 302, contentType: "", kept: false },
    ]);
    expect(page.workers).toEqual([
      expect.objectContaining({ url: `${url}/service-worker.js`, scope: `${url}/`, imports: {} }),
      expect.objectContaining({
        url: `${url}/js/w.js`,
        scope: `${url}/`,
        imports: { [`${url}/js/a.js`]: site["/js/a.js"]![2], [`${url}/b.js`]: "self.b = 1;" },
      }),
    ]);
  });

  it("follows redirects within the site, three at most", async () => {
    site = { "/": [302, "/a"], "/a": [307, "/b"], "/b": [301, "/c"], "/c": html("<p>c</p>") };
    expect(await collectPage(`${url}/`)).toMatchObject({ url: `${url}/`, location: `${url}/c`, status: 200 });
    site["/c"] = [302, "/"];
    expect(await collectPage(`${url}/`)).toMatchObject({ status: 302, html: "" });
  });

  it("requests 60 assets of a page that names more", async () => {
    site = { "/": html(Array.from({ length: 70 }, (_, each) => `<img src="/${each}.png">`).join("")) };
    const page = await collectPage(`${url}/`);
    expect(page).toMatchObject({ named: 70, assets: { length: 60 } });
    expect(asked.filter((path) => path.endsWith(".png"))).toHaveLength(60);
  });
});

it("a site that does not answer before the switch is no failure, one that stops answering is", async () => {
  site = { "/": html("<p>old</p>") };
  const before = await readBrowserBefore(url, ["/"]);
  await new Promise((closed) => server.close(closed));
  expect(await readBrowserBefore(url, ["/"])).toMatchObject([{ status: 0, html: "" }]);
  expect(await proveBrowser(url, "web", ["/"], before)).toMatchObject([
    { status: "broken", found: expect.stringContaining("ECONNREFUSED") },
  ]);
});

const cacheFirst = (version: string) =>
  `addEventListener("install", (e) => e.waitUntil(caches.open("${version}").then((c) => c.add("/")).then(() => skipWaiting())));
   addEventListener("fetch", (e) => e.respondWith(caches.open("${version}").then((c) => c.match("/"))));`;

it.each<[string, Site[string], object[]]>([
  [
    "a page in its stead",
    html("<p>any</p>"),
    [{ status: "broken", wrong: expect.stringContaining("no script") }],
  ],
  [
    "an error for a moment",
    [503, "text/plain"],
    [{ status: "proven" }, { status: "not checked", found: expect.stringContaining("status 503") }],
  ],
])("an old worker whose address answers with %s is judged by that answer", async (_, answer, expected) => {
  site = { "/": html("<p>old</p>"), "/sw.js": script(cacheFirst("1")) };
  const before = await readBrowserBefore(url, ["/"]);
  site = { "/": html("<p>new</p>"), "/sw.js": answer };
  expect(await proveBrowser(url, "web", ["/"], before)).toMatchObject(expected);
});

it("a worker with a changed import is an update, although its own script is unchanged", async () => {
  site = {
    "/": html("<p>old</p>"),
    "/sw.js": script('importScripts("lib.js");'),
    "/lib.js": script(cacheFirst("1")),
  };
  const before = await readBrowserBefore(url, ["/"]);
  site = { ...site, "/": html("<p>new</p>") };
  expect(await proveBrowser(url, "web", ["/"], before)).toMatchObject([
    { status: "broken", wrong: expect.stringContaining("is the same") },
  ]);
  site = { ...site, "/lib.js": script(cacheFirst("2")) };
  expect(await proveBrowser(url, "web", ["/"], before)).toMatchObject([
    { status: "proven", evidence: expect.stringContaining("from the second load on") },
  ]);
});
