import { describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { caddyfile, followersCaddyfile } from "../../edge/caddy";
import { isFramed, refusal } from "../../edge/extra";
import { changedEdgeKeys, deployedSite, siteOf } from "../../edge/site";
import { linesBeforeExtra, proofKey } from "../../edge/siteKeys";
import { placesOf } from "../../freshness/served/places";
import type { Deployment } from "../../proof/deployment";
import { problems } from "../support/configProblems";

const HASH = "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG";
const textOf = (raw: Record<string, unknown>) => {
  const config = parseConfig(raw);
  return caddyfile(config.services, siteOf(config), "/edge/release-1");
};

describe("the names of a site", () => {
  it("are domain and domains, the first of which is that of the public URL", () => {
    expect(parseConfig({ domain: "a.org", domains: ["www.a.org", "a.org"] })).toMatchObject({
      domain: "a.org",
      domains: ["a.org", "www.a.org"],
      publicUrl: "https://a.org",
    });
    expect(parseConfig({ domains: '["b.org", "c.org"]' })).toMatchObject({ domain: "b.org" });
    expect(parseConfig({ domain: "a.org" }).domains).toBeUndefined();
  });

  it("all get certificates, with those that redirect and those of services", () => {
    const services = { web: { port: 1, route: "/" }, api: { port: 2, route: "/", hosts: "api.a.org" } };
    const text = textOf({ domains: ["a.org", "b.org"], redirects: { "www.a.org": "a.org" }, services });
    expect(text).toContain("\na.org, b.org, www.a.org, api.a.org {\n");
  });

  it("are those where a service is proven", () => {
    const site = { url: "http://127.0.0.1:8080", otherNames: ["b.org"] };
    expect(placesOf(site, undefined)).toEqual(["http://127.0.0.1:8080", "http://b.org:8080"]);
    expect(placesOf(site, ["api.a.org", "api.b.org"])).toEqual([
      "http://api.a.org:8080",
      "http://api.b.org:8080",
    ]);
  });
});

describe("hosts of a service", () => {
  const services = {
    web: { port: 1, route: "/", assets: { "/s": "/app/s" } },
    api: { port: 2, route: "/", hosts: ["api.a.org"] },
    docs: { port: 3, route: "/docs", hosts: ["api.a.org"] },
  };

  it("have its route alone, and others do not", () => {
    const text = textOf({ services });
    expect(text).toContain("\t@api host api.a.org\n\thandle @api {");
    expect(text).toContain("\t@docs {\n\t\thost api.a.org\n\t\tpath /docs /docs/*\n\t}\n\thandle @docs {");
    expect(text).toContain("\t@web not host api.a.org\n\thandle @web {");
    expect(text).toContain("\t@assets-web-0 {\n\t\tnot host api.a.org\n\t\tpath /s/*\n\t}");
    expect(text.indexOf("handle @docs")).toBeLessThan(text.indexOf("handle @api {"));
  });

  it("allow the same route on different hosts, and not twice on one", () => {
    expect(problems({ services })).toBe("");
    const twice = { ...services, more: { port: 4, route: "/docs", hosts: ["x.org", "api.a.org"] } };
    expect(problems({ services: twice })).toContain(
      'services.more.route is "/docs", the route of docs; allowed: a route of its own',
    );
    expect(problems({ services: { web: { port: 1, hosts: ["a.org"] } } })).toContain(
      "watch-party:services.web.hosts is set; allowed: with a route",
    );
  });
});

describe("redirects", () => {
  const lines = (from: string, to: unknown, more: Record<string, unknown> = {}) =>
    textOf({ domain: "a.org", redirects: { [from]: to }, ...more })
      .split("\n")
      .filter((line) => /redirect-0/.test(line))
      .map((line) => line.trim());

  it.each([
    ["www.a.org", "a.org", "redir @redirect-0 https://a.org{http.request.uri} 308"],
    ["www.a.org", "https://a.org/new", "redir @redirect-0 https://a.org/new 308"],
    ["/old", { to: "/new", status: 302 }, "redir @redirect-0 /new{http.regexp.redirect-0.1} 302"],
    ["/old/*", "/new/*", "redir @redirect-0 /new/{http.regexp.redirect-0.1} 308"],
    ["/old/*", "/new", "redir @redirect-0 /new 308"],
    ["b.org/x", "https://c.org/?a=1", "redir @redirect-0 https://c.org/?a=1 308"],
  ])("lead from %s to %j", (from, to, expected) => expect(lines(from, to)).toContain(expected));

  it("compare a path as it was written, without slashes before its rest", () => {
    const text = textOf({ redirects: { "/old/*": "/*", "/a.b": "/c" } });
    expect(text).toContain("vars_regexp redirect-0 {http.request.uri} ^/old/[/\\\\]*(.*)$\n");
    expect(text).toContain("vars_regexp redirect-1 {http.request.uri} ^/a\\.b(\\?.*)?$\n");
  });

  it("keep the port of the public address", () =>
    expect(lines("www.a.org", "a.org", { domain: "", listen: "127.0.0.1:8080" })).toContain(
      "redir @redirect-0 http://a.org:8080{http.request.uri} 308",
    ));

  it.each([
    [{ "a.org": "b.org" }, "watch-party:redirects.a.org is set; allowed: a host other than that of"],
    [{ "b.org": "c.org", "c.org": "b.org" }, "redirects.b.org leads to c.org, which is redirected too"],
    [{ "/.freshness/web": "/" }, "allowed: a path other than /.freshness"],
    [{ "/a b": "/" }, "allowed: a host, a path or both"],
    [{ "/a": "//evil.org/{x}" }, "allowed: a host, a path or a URL"],
    [{ "/a": { to: "/b", status: 200 } }, "allowed: 301, 302, 303, 307, 308"],
  ])("are refused: %j", (redirects, expected) =>
    expect(problems({ domain: "a.org", redirects })).toContain(expected),
  );
});

describe("what the edge adds to all requests", () => {
  it("leaves the program's own paths alone", () => {
    const text = textOf({
      headers: { preset: "security", "X-Own": 'a "b" {c} \\d', Server: "" },
      compression: true,
      bodyLimit: "10MB",
      basicAuth: { ada: HASH },
    });
    expect(text).toContain("\t@own not path /.freshness /.freshness/*\n");
    expect(text).toContain('\t\tX-Own "a \\"b\\" \\{c\\} \\\\d"\n\t\t-Server\n\t\tdefer\n');
    expect(text).toContain("\trequest_body @own {\n\t\tmax_size 10MB\n\t}\n\tencode @own zstd gzip\n");
    expect(text).toContain(`\t\t"ada" ${HASH}\n`);
    expect(text).toContain("\trequest_header -X-Freshness-Key\n");
  });

  it("demands HTTPS where the site has it, and keeps what the app says itself", () => {
    const hsts = '?Strict-Transport-Security "max-age=31536000"';
    expect(textOf({ headers: "security", domain: "a.org" })).toContain(hsts);
    expect(textOf({ headers: "security" })).not.toContain("Strict-Transport-Security");
    expect(textOf({ headers: "security" })).toContain('?X-Frame-Options "SAMEORIGIN"');
    expect(textOf({ headers: { preset: "security", "x-frame-options": "DENY" } })).not.toContain(
      "SAMEORIGIN",
    );
  });

  it("limits time by the server and by the connection to a service", () => {
    const text = textOf({ timeouts: { bodySeconds: 30, idleSeconds: 60, answerSeconds: 20 } });
    expect(text).toContain("read_header 10s\n\t\t\tread_body 30s\n\t\t\tidle 60s\n");
    // Two routes, each with WebSockets, and the assets of the frontend.
    expect(text.match(/response_header_timeout 20s/g)).toHaveLength(5);
    expect(textOf({})).toContain("read_header 10s\n\t\t\tidle 2m\n");
  });

  it("holds on other nodes too", () => {
    const config = parseConfig({ headers: "security", compression: true });
    const text = followersCaddyfile(config.services, "/f", siteOf(config));
    expect(text).toContain("encode @own zstd gzip");
  });

  it.each([
    [{ headers: { "Content-Length": "1" } }, "headers.Content-Length is set; allowed: a header that"],
    [{ headers: { "-X": "1" } }, "headers.-X is not a valid name; allowed: a name that begins with a letter"],
    [{ headers: { X: "{$HOME}" } }, 'allowed: a text without "{$"'],
    [{ headers: "safe" }, "watch-party:headers.preset is"],
    [{ basicAuth: { ada: "secret" } }, "basicAuth.ada is [secret]; allowed: a bcrypt hash"],
    [{ bodyLimit: "10" }, "allowed: a size, such as 10MB or 512KiB"],
    [{ timeouts: { answerSeconds: 1 } }, "allowed: a whole number from 5 to 86400"],
  ])("is refused: %j", (raw, expected) => expect(problems(raw)).toContain(expected));

  it("lets the program in by a key that only the configuration knows", () => {
    expect(proofKey({})).toBeUndefined();
    expect(proofKey({ a: HASH, b: HASH })).toBe(proofKey({ b: HASH, a: HASH }));
    expect(proofKey({ a: HASH })).not.toBe(proofKey({ b: HASH }));
  });
});

describe("extra", () => {
  it("stands in a block with the routes, behind the program's own paths", () => {
    const text = textOf({ extra: "respond /hello hi\n", redirects: { "/a": "/b" } });
    expect(text).toContain("\thandle {\n\troute {\n\t# extra begins\nrespond /hello hi\n\t# extra ends\n");
    expect(text.indexOf("handle @proof-frontend")).toBeLessThan(text.indexOf("# extra begins"));
    expect(text.split("\n")[linesBeforeExtra(text)]).toBe("respond /hello hi");
  });

  it("is refused with its own line and Caddy's words", () => {
    const said = (file: string, line: number, what: string) =>
      `{"level":"info","msg":"a"}\n{"level":"error","msg":"parsing caddyfile tokens for 'handle': parsing caddyfile tokens for 'route': ${what}, at /tmp/${file}:${line}"}`;
    const extra = "header A a\n\tfooo b\nrespond a b c";
    expect(refusal(said("frame", 8, "unrecognized directive: fooo"), extra, 0)).toBe(
      "watch-party:extra is refused by Caddy in line 2: unrecognized directive: fooo; the edge is unchanged. Correct it and deploy again.",
    );
    expect(refusal(said("frame", 8, "wrong argument count"), extra, 0)).toContain(
      "in line 3: wrong argument",
    );
    expect(refusal(said("whole", 42, "wrong argument count"), extra, 40)).toContain(
      "in line 2: wrong argument",
    );
    expect(refusal("Error: no", extra, 0)).toContain("refused by Caddy: Error: no;");
  });

  const within = (...routes: object[]) => ({ handle: [{ routes }] });
  const end = { handle: [{ body: "end-of-extra" }] };
  const own = { match: [{ path: ["/.freshness"] }] };
  const framed = within(within(end));
  const http = (...sites: object[]) => ({
    http: { servers: Object.fromEntries(sites.map((site, at) => [at, { routes: [site] }])) },
  });
  it.each<[string, boolean, object]>([
    ["within its block", true, http(within(own, framed))],
    ["with a block behind it", false, http(within(own, framed, framed))],
    ["with a block before it", false, http(within(own, own))],
    [
      "with its end in another route",
      false,
      http(within(own, within(within({}), { match: 1, ...within(end) }))),
    ],
    [
      "with a second route",
      false,
      http(within(own, within({ handle: [{ routes: [{}] }, { routes: [end] }] }))),
    ],
    ["with its end at a path", false, http(within(own, within(within({ ...end, match: [{}] }))))],
    ["with another site", false, http(within(own, framed), {})],
    ["with another app", false, { ...http(within(own, framed)), tls: {} }],
  ])("%s: %s", (_, expected, apps) => expect(isFramed(JSON.stringify({ apps }))).toBe(expected));
});

describe("a preview", () => {
  it("says which keys of the edge change", () => {
    const before = parseConfig({ headers: "security", compression: true });
    const last = {
      ...deployedSite(before),
      services: before.services.map((service) => ({ service })),
    } as unknown as Deployment;
    expect(changedEdgeKeys(before, last)).toEqual([]);
    expect(changedEdgeKeys(parseConfig({ headers: "security", accessLog: true }), last)).toEqual([
      "compression",
      "accessLog",
    ]);
    const routed = { frontend: {}, backend: { route: "/v2" } };
    expect(
      changedEdgeKeys(parseConfig({ headers: "security", compression: true, services: routed }), last),
    ).toEqual(["routes"]);
    expect(changedEdgeKeys(before, undefined)).toEqual([]);
  });

  it("has nothing to compare of a stack without these keys", () => {
    expect(deployedSite(parseConfig({ domain: "a.org" }))).toEqual({});
    expect(
      deployedSite(parseConfig({ domains: ["a.org", "b.org"], redirects: { "c.org": "a.org" } })),
    ).toMatchObject({
      otherNames: ["b.org", "c.org"],
    });
  });
});
