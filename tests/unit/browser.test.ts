import { describe, expect, it } from "@jest/globals";
import { browserPaths, browserVerdicts, type PageFacts } from "../../freshness/browser";
import { namedByPage, registrations } from "../../freshness/browser/html";
import { privateLifetime } from "../../freshness/browser/lifetime";
import type { JudgedWorker, WorkerFacts } from "../../freshness/browser/worker";

const NOW = new Date("2026-07-01T12:00:00Z");
const http = (secondsAgo: number) => new Date(NOW.getTime() - secondsAgo * 1000).toUTCString();

it.each<[string, Record<string, string>, number]>([
  ["no headers at all", {}, 0],
  ["max-age", { "cache-control": "public, max-age=3600" }, 3600],
  ["max-age in quotes", { "cache-control": 'Max-Age="120"' }, 120],
  ["a max-age that is not a number", { "cache-control": "max-age=soon", expires: http(-900) }, 0],
  ["immutable with max-age", { "cache-control": "max-age=31536000, immutable" }, 31_536_000],
  [
    "Next.js's dynamic pages",
    { "cache-control": "private, no-cache, no-store, max-age=0, must-revalidate" },
    0,
  ],
  ["Next.js's prerendered pages", { "cache-control": "s-maxage=31536000, stale-while-revalidate" }, 0],
  ["no-store before max-age", { "cache-control": "max-age=3600, no-store" }, 0],
  ["no-cache of named fields", { "cache-control": 'no-cache="set-cookie", max-age=3600' }, 0],
  ["only s-maxage", { "cache-control": "s-maxage=3600" }, 0],
  ["an Age to subtract", { "cache-control": "max-age=100", age: "70" }, 30],
  ["an Age beyond the lifetime", { "cache-control": "max-age=100", age: "700" }, 0],
  ["Expires minus Date", { expires: http(0), date: http(600) }, 600],
  ["Expires without Date", { expires: http(-300) }, 300],
  ["Expires in the past", { expires: http(5), date: http(0), "last-modified": http(9_999_999) }, 0],
  ["an Expires that is not a date", { expires: "0", "last-modified": http(9_999_999) }, 0],
  ["max-age before Expires", { "cache-control": "max-age=0", expires: http(-3600) }, 0],
  ["only Last-Modified", { "last-modified": http(86_400), date: http(0) }, 8640],
  ["Last-Modified and only `private`", { "cache-control": "private", "last-modified": http(1000) }, 100],
  ["Last-Modified in the future", { "last-modified": http(-1000) }, 0],
  ["only Pragma", { pragma: "no-cache", "last-modified": http(86_400) }, 0],
  ["Pragma with Cache-Control", { pragma: "no-cache", "cache-control": "max-age=90" }, 90],
  ["Vary: *", { vary: "*", "cache-control": "max-age=90" }, 90],
])("a private cache keeps a page with %s for its own time", (_, headers, seconds) => {
  expect(privateLifetime(headers, NOW).seconds).toBe(seconds);
});

describe("namedByPage", () => {
  const assets = (html: string) =>
    namedByPage(html, "https://a.test/app/page").assets.map(({ url, kind }) => `${kind} ${url.slice(14)}`);

  it.each([
    ["a script", '<script src="/a.js" defer></script>', ["script /a.js"]],
    ["a module", "<script type=module src=a.js></script>", ["script /app/a.js"]],
    ["a stylesheet", '<link href="/a.css?x=1&amp;y=2" rel="stylesheet">', ["style /a.css?x=1&y=2"]],
    ["a module to preload", '<link rel="modulepreload" href="/m.js" />', ["script /m.js"]],
    [
      "preloads by their kind",
      "<link rel=preload as=style href=/a><link rel=preload as=font href=/b>",
      ["style /a", "other /b"],
    ],
    [
      "icons and the manifest",
      '<link rel="shortcut icon" href="/i.ico"><link rel=manifest href=/m.json>',
      ["other /i.ico", "other /m.json"],
    ],
    ["an image", "<img alt='a > b' src='i.png#x'>", ["other /app/i.png"]],
    [
      "a repeated name once",
      '<link rel=preload as=script href=/a.js><script src="/a.js"></script>',
      ["script /a.js"],
    ],
    [
      "scripts first",
      '<img src="/i.png"><link rel=stylesheet href=/a.css><script src=/a.js></script>',
      ["script /a.js", "style /a.css", "other /i.png"],
    ],
    ["addresses from the base", '<base href="/b/"><script src="a.js"></script>', ["script /b/a.js"]],
    ["no other site's", '<script src="https://cdn.test/a.js"></script><img src="//b.test/i.png">', []],
    ["no data, nothing empty", '<img src="data:image/png;base64,AA"><img src=""><link rel=icon>', []],
    [
      "no script for old browsers as one it needs",
      '<script nomodule src="/old.js"></script>',
      ["other /old.js"],
    ],
    [
      "styles by whether the page needs them",
      '<link rel=stylesheet media=print href=/p.css><link rel="alternate stylesheet" href=/a.css>' +
        `<link rel=stylesheet media=print onload="this.media='all'" href=/l.css><link rel=stylesheet disabled href=/d.css>` +
        '<link rel=stylesheet type="text/less" href=/x.less>',
      ["style /l.css", "other /p.css", "other /a.css"],
    ],
    [
      "one picture of a set",
      '<img srcset="/a.png 1x, /b.png 2x"><picture><source srcset="/c.webp"><img src=/d.png srcset="/e.png 2x"></picture>',
      ["other /a.png", "other /c.webp", "other /d.png"],
    ],
    [
      "the modules of an import map",
      '<script type=importmap>{"imports":{"a":"/a.js","b/":"/b/","c":"https://cdn.test/c.js","d":{}}}</script>',
      ["other /a.js"],
    ],
    ["nothing in a template", "<template><script src=/a.js></script><img src=/b.png></template>", []],
    [
      "the content of a shadow root",
      "<template shadowrootmode=open><link rel=stylesheet href=/s.css></template>",
      ["style /s.css"],
    ],
    [
      "the content after a drawing",
      "<svg><title/><style/></svg><script src=/a.js></script>",
      ["script /a.js"],
    ],
    ["the content after an unclosed drawing", "<svg><p><script src=/a.js></script>", ["script /a.js"]],
    [
      "names by their references",
      '<script src="/a&period;js&quest;b&equals;1"></script>',
      ["script /a.js?b=1"],
    ],
    ["only the first base", '<base href="/b/"><base href="/c/"><img src=i.png>', ["other /b/i.png"]],
    ["nothing in the text of a title", "<title><img src=/i.png></title>", []],
    ["nothing that is commented out", '<!-- <script src="/a.js"></script> -->', []],
    ["nothing that a script writes", '<script>document.write("<img src=/i.png>")</script>', []],
    ["nothing within an attribute", `<p title='<img src="/i.png">'></p>`, []],
    ["nothing for browsers without scripts", '<noscript><img src="/track.gif"></noscript>', []],
    ["no data block", '<script type="application/json" src="/a.json"></script>', []],
    [
      "no other links",
      '<link rel="canonical" href="/x"><link rel="dns-prefetch" href="/y"><linked href=/z>',
      [],
    ],
  ])("finds %s", (_, html, expected) => expect(assets(html)).toEqual(expected));
});

it.each([
  ['navigator.serviceWorker.register("/sw.js")', "/sw.js", "/"],
  ["navigator.serviceWorker?.register(`w.js`)", "/app/w.js", "/app/"],
  ['t.serviceWorker.register("/js/sw.js",{scope:"/app"})', "/js/sw.js", "/app"],
  [
    'navigator.serviceWorker.register(new URL("sw.js", import.meta.url), { type: "module" })',
    "/js/sw.js",
    "/js/",
  ],
  ['navigator.serviceWorker.register(new URL("/sw.js", location.origin))', "/sw.js", "/"],
  ['new Workbox("/sw.js")', "/sw.js", "/"],
])("finds the worker that %s registers", (code, path, scope) => {
  expect(registrations(code, "https://a.test/app/", "https://a.test/js/main.js")).toEqual([
    { url: `https://a.test${path}`, scope: `https://a.test${scope}` },
  ]);
});

const SITE = "https://a.test/";
const worker = (script: string, status = 200): WorkerFacts => ({
  url: `${SITE}sw.js`,
  scope: SITE,
  status,
  script,
  imports: {},
});

describe("browserVerdicts", () => {
  const page = (changes: Partial<PageFacts> = {}): PageFacts => ({
    url: SITE,
    location: SITE,
    status: 200,
    error: "",
    headers: { "content-type": "text/html", "cache-control": "no-cache" },
    received: NOW,
    html: "<p>new</p>",
    assets: [
      {
        url: "https://a.test/a.js",
        kind: "script",
        status: 200,
        contentType: "text/javascript",
        kept: false,
      },
    ],
    named: 1,
    workers: [],
    ...changes,
  });
  const kept = (seconds: number) => ({ "content-type": "text/html", "cache-control": `max-age=${seconds}` });
  const asset = (status: number, contentType = "", kind: "script" | "other" = "script") =>
    page({ assets: [{ url: "https://a.test/a.js", kind, status, contentType, kept: false }] });
  const old = (changes: Partial<JudgedWorker>): JudgedWorker => ({
    page: SITE,
    before: worker("one"),
    after: worker("two"),
    first: "stale",
    second: "stale",
    why: "",
    ...changes,
  });
  const GONE = worker("", 404);

  it.each<[string, PageFacts, JudgedWorker[], object]>([
    [
      "that is revalidated each time",
      page(),
      [],
      { status: "proven", found: "HTML kept for at most 0 s, 1 assets there" },
    ],
    ["that is cached for a minute", page({ headers: kept(60) }), [], { status: "proven" }],
    [
      "that is cached for longer",
      page({ headers: kept(61) }),
      [],
      { status: "broken", found: "61 s (Cache-Control: max-age=61)" },
    ],
    ["without assets", page({ assets: [], named: 0 }), [], { status: "proven" }],
    [
      "whose script is missing",
      asset(404),
      [],
      { status: "broken", found: "1 of 1 missing: https://a.test/a.js (status 404)" },
    ],
    ["whose script is a page", asset(200, "text/html; charset=utf-8"), [], { status: "broken" }],
    [
      "whose image is missing",
      asset(404, "", "other"),
      [],
      {
        status: "proven",
        found: "HTML kept for at most 0 s, 0 of 1 assets there",
        warning: "https://a.test/ refers to missing assets: https://a.test/a.js (status 404)",
      },
    ],
    ["whose image is a page", asset(200, "text/html", "other"), [], { status: "proven" }],
    ["whose image requires a login", asset(401, "", "other"), [], { status: "proven" }],
    ["whose script does not answer", asset(0), [], { status: "broken" }],
    [
      "that redirects to a login on another site",
      page({ status: 302, html: "", headers: { location: "https://login.test/" } }),
      [],
      { status: "not checked", found: "a redirect to https://login.test/" },
    ],
    [
      "that is not HTML",
      page({ html: "", headers: { "content-type": "application/json" } }),
      [],
      { status: "not checked", found: "application/json" },
    ],
    [
      "that does not answer any more",
      page({ html: "", status: 502 }),
      [],
      { status: "broken", found: "status 502" },
    ],
    [
      "with an old worker that is fresh",
      page(),
      [old({ first: "fresh", second: "fresh" })],
      { status: "proven" },
    ],
    [
      "with an old worker that is replaced",
      page(),
      [old({ second: "fresh" })],
      { status: "proven", evidence: expect.stringContaining("from the second load on") },
    ],
    [
      "with an old worker that is not",
      page(),
      [old({})],
      {
        status: "broken",
        found: "the old release's worker /sw.js answers navigations from its cache",
        wrong: expect.stringContaining("still answers from its cache"),
      },
    ],
    [
      "with an old worker that stays the same",
      page(),
      [old({ after: worker("one") })],
      { status: "broken", wrong: expect.stringContaining("is the same") },
    ],
    [
      "with an old worker whose script is missing",
      page(),
      [old({ after: GONE })],
      {
        status: "broken",
        wrong: expect.stringContaining("status 404"),
        remedy: expect.stringContaining("unregister()"),
      },
    ],
  ])("judges a page %s", (_, after, workers, expected) => {
    const verdicts = browserVerdicts("web", [page({ html: "<p>old</p>" })], [after], workers);
    expect(verdicts).toEqual([expect.objectContaining({ link: "browser", service: "web", ...expected })]);
  });

  it("breaks for a missing image if strictAssets is set", () => {
    expect(browserVerdicts("web", [], [asset(404, "", "other")], [], { strictAssets: true })).toMatchObject([
      { status: "broken", found: "1 of 1 missing: https://a.test/a.js (status 404)" },
    ]);
  });

  it("breaks for an endless page, at a first deploy too", () => {
    const endless = page({
      html: "",
      status: 0,
      error: "the answer did not end within 32 MiB",
      endless: true,
    });
    expect(browserVerdicts("web", [], [endless], [])).toMatchObject([
      { status: "broken", found: "no answer (the answer did not end within 32 MiB)" },
    ]);
  });

  it("reports a worker that could not be tried beside the proven facts", () => {
    const untold = old({ first: "unknown", second: "unknown", why: "it throws: no" });
    expect(browserVerdicts("web", [page()], [page()], [untold])).toMatchObject([
      { status: "proven" },
      { status: "not checked", found: "a worker that could not be tested: it throws: no" },
    ]);
  });

  it("tells what the previous release let browsers keep, which no deploy can take back", () => {
    const [verdict] = browserVerdicts("web", [page({ headers: kept(3600) })], [page()], []);
    expect(verdict).toMatchObject({
      status: "proven",
      evidence: `${SITE}; the previous release let browsers keep ${SITE} for 3600 s`,
    });
  });

  it("names paths that are no pages beside the pages", () => {
    const data = page({ url: `${SITE}data`, html: "", headers: { "content-type": "application/json" } });
    expect(browserVerdicts("web", [], [page(), data], [])).toMatchObject([
      { status: "proven", evidence: `${SITE}; ${SITE}data is not a page: application/json` },
    ]);
  });

  it("warns of a page that did not answer before either, and does not break", () => {
    const down = page({ html: "", status: 500 });
    const warning = `${SITE} fails: status 500`;
    expect(browserVerdicts("web", [down], [down], [])).toMatchObject([{ status: "not checked", warning }]);
    expect(browserVerdicts("web", [], [down, page({ url: `${SITE}ok` })], [])).toMatchObject([
      { status: "proven", warning },
    ]);
    const elsewhere = page({ html: "", status: 302, headers: { location: "/login" } });
    expect(browserVerdicts("web", [], [elsewhere], [])[0]).not.toHaveProperty("warning");
    expect(browserVerdicts("web", [], [], [])).toEqual([]);
  });
});

it("the pages of a service are its route and its declared pages", () => {
  expect(browserPaths({ route: "/", pages: ["/about", "/"] })).toEqual(["/", "/about"]);
  expect(browserPaths({ route: "/api", pages: [] })).toEqual([]);
});
