import { describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { caddyfile } from "../../edge/caddy";
import { frontCaddyfile } from "../../edge/front";
import { siteOf } from "../../edge/site";
import { frontVerdicts, type SiteEdge } from "../../freshness/served/front";
import { problems } from "../support/configProblems";

describe("the keys front and behind", () => {
  it.each([
    [
      { front: "https", domain: "a.org" },
      /watch-party:domain is set; allowed: only without watch-party:front/,
    ],
    [{ front: "https", behind: "f" }, /watch-party:behind is set; allowed: only without watch-party:front/],
    [{ front: "http", publicUrl: "http://a.org" }, /watch-party:publicUrl is set/],
    [{ front: "http", services: { web: {} } }, /watch-party:services is set/],
    [{ front: "http", accessories: { db: { image: "redis" } } }, /watch-party:accessories is set/],
    [{ front: "http", bodyLimit: "1MB", accessLog: true }, /:bodyLimit is set[\s\S]*:accessLog is set/],
    [{ front: "https", hooks: { afterSwitch: "true" } }, /watch-party:hooks is set/],
    [{ front: "on" }, /watch-party:front is "on"; allowed: http, https/],
    [{ behind: "f" }, /watch-party:domain is missing; .*because the front knows a stack by its names/],
    [{ behind: "f/g", domain: "a.org" }, /watch-party:behind is "f\/g"; allowed: the name of a stack/],
    [
      { behind: "f", domain: "a.org", trustedProxies: "private_ranges" },
      /watch-party:trustedProxies is set; .*set it for stack f/,
    ],
    [{ front: "http", tls: "internal" }, /watch-party:tls is "internal"/],
  ])("are refused: %j", (raw, words) => expect(problems(raw)).toMatch(words));

  it.each([
    [{ front: "https", tls: "internal", services: {} }],
    [{ front: "http", listen: "0.0.0.0:80" }],
    // As the declared defaults of a project give them.
    [{ front: "http", services: "{}", accessories: {}, compression: false, headers: {}, publicUrl: "" }],
    [{ front: "http", commit: "main", source: "app", edgeMemoryMb: 512 }],
    [{ behind: "f", domain: "a.org", tls: "internal" }],
    [{ behind: "f", publicUrl: "http://a.localhost:8080" }],
  ])("are accepted: %j", (raw) => expect(problems(raw)).toBe(""));

  it("of a front leave no service", () => expect(parseConfig({ front: "http" }).services).toEqual([]));
});

describe("the edge behind a front", () => {
  const textOf = (raw: Record<string, unknown>) => {
    const config = parseConfig(raw);
    return caddyfile(config.services, siteOf(config), "/edge/release-1");
  };

  it("has no certificates, trusts the front, and takes it out of X-Forwarded-For", () => {
    const text = textOf({ behind: "f", domains: ["a.org", "b.org"] });
    expect(text).toContain("http:// {\n\t# a.org, b.org\n");
    expect(text).toContain("trusted_proxies static private_ranges");
    expect(text.match(/header_up X-Forwarded-For ", \[\^,\]\*\$" ""/g)?.length).toBeGreaterThan(3);
    const alone = textOf({ domains: ["a.org", "b.org"] });
    expect(alone).not.toMatch(/X-Forwarded-For|trusted_proxies|# a\.org/);
  });
});

describe("the front's configuration", () => {
  it("has no certificates with http, and asks before it gets one with https", () => {
    const none = { tls: "public", trustedProxies: undefined } as const;
    expect(frontCaddyfile({ front: "http", ...none })).not.toMatch(/tls|on_demand/);
    const text = frontCaddyfile({ front: "https", ...none, trustedProxies: ["10.0.0.0/8"] });
    expect(text).toMatch(/ask http:\/\/127\.0\.0\.1:82\//);
    expect(text).toMatch(/tls \{\n\t\ton_demand/);
    expect(text).toContain("trusted_proxies static 10.0.0.0/8");
  });
});

describe("frontVerdicts", () => {
  const front: SiteEdge = { id: "f", name: "front-1", stack: "front", names: ["front-1", "front"] };
  const edge: SiteEdge = { id: "e", name: "edge-1", stack: "dev", names: ["edge-1", "a.org.sites.internal"] };
  const of = {
    front: "front",
    names: ["a.org"],
    own: "edge-1",
    isOwn: ({ id }: SiteEdge) => id === "e",
    isServing: true,
  };

  it("are proven if the edge alone has the names", () =>
    expect(frontVerdicts(of, [front, edge])).toMatchObject([
      { link: "served", status: "proven", found: "edge-1 alone at a.org" },
    ]));

  it("are nothing before the first deploy of a free name", () =>
    expect(frontVerdicts({ ...of, isServing: false }, [front])).toEqual([]));

  it.each([
    ["without the front", [edge], "front front does not run", "no front in network watch-party-sites-front"],
    [
      "without the edge",
      [front],
      "front front finds no edge for a.org",
      "no container at a.org.sites.internal",
    ],
    [
      "with an edge of another stack too",
      [front, edge, { ...edge, id: "x", name: "edge-2", stack: "prod" }],
      "another container answers for a.org",
      "edge-2 of stack prod",
    ],
    [
      "with another container instead",
      [front, { ...edge, id: "x", name: "other", stack: undefined }],
      "another container answers for a.org",
      "other of no stack",
    ],
  ])("are broken %s", (_, found, wrong, what) =>
    expect(frontVerdicts(of, found)).toMatchObject([{ status: "broken", wrong, found: what }]),
  );
});
