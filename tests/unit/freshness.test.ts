import { describe, expect, it } from "@jest/globals";
import { assertUnbroken, broken, certify, FreshnessError, warningsOf } from "../../freshness/chain";
import { changesVerdict, containerVerdict, unhealthyVerdict } from "../../freshness/container";
import { commitOf, versionVerdict } from "../../freshness/served";
import { namesCommit, pagesVerdict } from "../../freshness/served/pages";

const answer = (status: number, body: string, error = "", headers: Record<string, string> = {}) => ({
  url: "http://edge/.freshness/backend",
  address: "127.0.0.1",
  status,
  headers: { "x-freshness-upstream": "backend-r1:8000", ...headers },
  body,
  error,
});
const good = answer(200, '{"commit":"abc"}');
const expectation = {
  link: "served",
  service: "backend",
  commit: "abc",
  upstream: "backend-r1:8000",
} as const;

describe("versionVerdict", () => {
  it("is proven when every answer names the commit and comes from the container", () => {
    expect(versionVerdict(expectation, [good, good])).toMatchObject({
      status: "proven",
      found: "commit abc from backend-r1:8000",
      evidence: "http://edge/.freshness/backend at 127.0.0.1, asked 2 times",
    });
  });

  it.each([
    ["an older commit", [good, answer(200, '{"commit":"old"}')], "commit old"],
    ["an error page", [answer(502, "<html>Bad\nGateway")], 'status 502, "<html>Bad Gateway"'],
    ["a page of another app", [answer(200, "<html>")], 'status 200, "<html>"'],
    ["a commit that is not text", [answer(200, '{"commit":1}')], 'status 200, "{"commit":1}"'],
    ["no answer", [answer(0, "", "connection refused")], "no answer (connection refused)"],
    ["no request", [], "no answer"],
    [
      "another container",
      [answer(200, good.body, "", { "x-freshness-upstream": "backend-r0:8000" })],
      "backend-r0:8000",
    ],
    [
      "a program that is not the edge",
      [{ ...good, headers: {} }],
      "an answer that did not come through the edge",
    ],
    ["a cache that counts seconds", [good, answer(200, good.body, "", { age: "7" })], "Age: 7"],
    [
      "a cache that identifies itself",
      [answer(200, good.body, "", { "x-cache": "HIT from proxy" })],
      "x-cache: HIT from proxy",
    ],
  ])("is broken by %s", (_, answers, found) => {
    expect(versionVerdict(expectation, answers)).toMatchObject({ status: "broken", found });
  });

  it("accepts a commit in upper case, which has the same digits", () => {
    const upper = { ...good, body: '{"commit":"ABC"}' };
    expect(versionVerdict(expectation, [upper]).status).toBe("proven");
  });

  it("accepts a fresh answer through a cache", () => {
    const miss = answer(200, good.body, "", {
      age: "0",
      "x-cache": "MISS",
      "cache-status": "proxy; fwd=miss",
    });
    expect(versionVerdict(expectation, [miss]).status).toBe("proven");
  });
});

it.each([
  ['{"commit":"abc"}', "abc"],
  ['\uFEFF{"commit":"abc"}', "abc"],
  ['{"commit":"abc\\n"}', "abc"],
  ["{}", undefined],
  ["null", undefined],
  ["", undefined],
])("commitOf(%j)", (body, commit) => expect(commitOf({ body })).toBe(commit));

const sha = "0123456789abcdef0123456789abcdef01234567";
const other = "f".repeat(40);

describe("namesCommit", () => {
  it.each([
    [`<meta name="commit" content="${sha}">`, sha],
    ["<footer>Version 0123456</footer>", sha],
    ["<footer>Version <!-- -->0123456789ab<!-- -->, released today</footer>", sha],
    [`<p>Now ${sha}, before ${other}</p>`, sha],
    [String.raw`<script>push([1,"{\"commit\":\"${sha}\"}"])</script>`, sha],
    [String.raw`<script>{"commit":"\u0022${sha}\u0022","text":"\n0123456"}</script>`, sha],
    [`<a href="/commits?sha=%2F${sha}">`, sha],
    [`<p>v1.2-${sha.slice(0, 9)}</p>`, sha],
    [`<p>${sha}-dirty-0123456789ab</p>`, `${sha}-dirty-0123456789ab`],
    ["<p>0123456789ab-dirty-0123456789ab</p>", `${sha}-dirty-0123456789ab`],
  ])("%s does", (page, commit) => expect(namesCommit(page, commit)).toBe(true));

  it.each([
    ["", sha],
    [`<p>${other}</p>`, sha],
    ["<p>012345</p>", sha],
    ["<p>0123457</p>", sha],
    [`<p>${sha}0</p>`, sha],
    [`<p>x${sha}</p>`, sha],
    [`<link href="/app-${sha.slice(0, 8)}z.css">`, sha],
    [`<p>${sha}</p>`, `${sha}-dirty-0123456789ab`],
    [`<p>${sha}-dirty-0123456789ab</p>`, sha],
    [`<p>${sha}-dirty-ffffffffffff</p>`, `${sha}-dirty-0123456789ab`],
  ])("%s does not", (page, commit) => expect(namesCommit(page, commit)).toBe(false));
});

describe("pagesVerdict", () => {
  const page = (url: string, body: string, more = {}) => ({ ...answer(200, body), url, ...more });
  const right = page("http://edge/", `<p>${sha}</p>`);

  it("is proven when each answer names the commit", () => {
    const about = page("http://edge/about", "<p>0123456</p>", { headers: { age: "9" } });
    expect(pagesVerdict("web", sha, [right, about])).toMatchObject({
      ...{ link: "served", service: "web", status: "proven" },
      expected: `commit ${sha} named by http://edge/, http://edge/about`,
    });
  });

  it.each([
    ["another commit", page("http://edge/", `<p>${other}</p>`), `commit ${other}`],
    ["another commit's short form", page("http://edge/", "<p>Version fffffff</p>"), "commit fffffff"],
    [
      "no commit, and an asset's name that looks like one",
      page("http://edge/", '<script>var a="ccccccc"</script><link href="/app-ddddddd.css">'),
      "a page without a commit",
    ],
    [
      "a cached answer",
      page("http://edge/", `<p>${other}</p>`, { headers: { age: "9" } }),
      `commit ${other}, from a cache (Age: 9)`,
    ],
    [
      "a redirect",
      page("http://edge/", "", { status: 302, headers: { location: "/in" } }),
      "status 302, a redirect to /in",
    ],
    ["an error", page("http://edge/", `<p>${sha}</p>`, { status: 500 }), "status 500"],
    ["no answer", page("http://edge/", "", { status: 0, error: "refused" }), "no answer (refused)"],
  ])("is broken by %s", (_, wrong, found) => {
    expect(pagesVerdict("web", sha, [right, wrong])).toMatchObject({
      link: "served",
      status: "broken",
      found,
    });
  });

  it("names the page and its address", () => {
    const { wrong } = pagesVerdict("web", sha, [page("http://edge/x", "")]) as { wrong: string };
    expect(wrong).toBe("http://edge/x at 127.0.0.1 does not name the commit");
  });
});

describe("containerVerdict", () => {
  const image = `sha256:${"1".repeat(64)}`;
  it("is proven by a running container of the image", () => {
    expect(containerVerdict("backend", image, { name: "b-1", running: true, image }).status).toBe("proven");
  });
  it.each([
    ["gone", undefined, "no such container"],
    ["stopped", { name: "b-1", running: false, image }, "a container that is not running"],
    [
      "of another image",
      { name: "b-1", running: true, image: `sha256:${"2".repeat(64)}` },
      `a running container of sha256:${"2".repeat(12)}`,
    ],
  ])("is broken by a container that is %s", (_, container, found) => {
    expect(containerVerdict("backend", image, container)).toMatchObject({ status: "broken", found });
  });
});

it.each([
  [{ times: 0, log: ["busy"] }, "no such answer (refused)", "docker logs web-1"],
  [
    { times: 4, exitCode: 137, oomKilled: true, log: [] },
    "no such answer (refused); it ended by itself 4 times, with exit code 137 (OOM-killed)",
    "docker logs web-1",
  ],
  [undefined, "no such answer (refused)", "docker service logs web-1"],
])("prints the log command of a new unhealthy container that ended like %j", (ending, found, log) => {
  const asked = { url: "http://web:80/", said: "refused" };
  expect(unhealthyVerdict({ name: "web", startSeconds: 30 }, asked, { name: "web-1", ending })).toMatchObject(
    {
      status: "broken",
      expected: "status 2xx of http://web:80/ within 30 s",
      found,
      remedy: expect.stringContaining(`See its log (${log}), then deploy again`),
      ...(ending && { log: ending.log }),
    },
  );
});

describe("changesVerdict", () => {
  const judge = (lines: string[], caches: string[] = []) =>
    changesVerdict(
      "web",
      "web-1",
      lines.map((line) => ({ kind: line[0] as "A", path: line.slice(2) })),
      caches,
    );

  it.each([
    [[]],
    [["C /usr", "C /usr/sbin", "A /usr/sbin/docker-init", "A /.dockerenv"]],
    [["C /tmp", "A /tmp/x", "C /var", "C /var/log", "A /var/log/app.log", "C /root", "A /root/.cache/pip/x"]],
    [["C /app", "A /app/__pycache__", "A /app/__pycache__/main.cpython-311.pyc"]],
    [["C /app", "C /app/.next", "A /app/.next/cache", "A /app/.next/cache/images/1.webp"]],
  ])("accepts %j as run-time files", (lines) => {
    expect(judge(lines).status).toBe("proven");
  });

  it("accepts a service's declared caches", () => {
    expect(judge(["C /app", "C /app/data", "A /app/data/x"], ["/app/data/"]).status).toBe("proven");
    expect(judge(["C /app", "A /app/database"], ["/app/data"]).status).toBe("broken");
  });

  it.each([
    [["C /app", "C /app/server.py"], "1 others: changed /app/server.py"],
    [["C /app", "D /app/server.py"], "1 others: deleted /app/server.py"],
    [["C /app", "A /app/route.js"], "1 others: added /app/route.js"],
    [
      ["C /app/__pycache__", "C /app/__pycache__/main.cpython-311.pyc"],
      "1 others: changed /app/__pycache__/main.cpython-311.pyc",
    ],
  ])("is broken by %j", (lines, found) => {
    expect(judge(lines)).toMatchObject({ link: "container", service: "web", status: "broken", found });
  });

  it("lists ten of many, and their number", () => {
    const verdict = judge(Array.from({ length: 12 }, (_, index) => `A /app/${index}`));
    expect(verdict.found).toMatch(/^12 others: (added \/app\/\d+(, |$)){10}$/);
  });
});

describe("certify", () => {
  const of = (
    link: "commit" | "container" | "served",
    found: string,
    status: "proven" | "not checked" = "proven",
  ) => ({
    ...{ link, service: "web", status, expected: "x", found, evidence: "" },
  });
  it("has one entry per link and service, in the chain's order", () => {
    const links = [
      of("served", "a"),
      of("container", "b"),
      of("container", "c"),
      of("commit", "d", "not checked"),
    ];
    const plugins = { docker: "5.2.0", command: "1.2.1" };
    const versions = { engine: "26.1.5", docker: "26.1.5", pulumi: "3.259.0", plugins };
    const certificate = certify({ stack: "dev", commit: "abc", url: "http://x", versions, links });
    expect(certificate.schema).toBe("watch-party/certificate/1");
    expect(certificate.versions).toEqual(versions);
    expect(certificate.links.map(({ link, found, status }) => `${link} ${found} ${status}`)).toEqual([
      "commit d not checked",
      "container b; c proven",
      "served a proven",
    ]);
  });
});

it("keeps each warning once when entries are merged", () => {
  const entry = {
    link: "browser",
    service: "web",
    status: "proven",
    expected: "x",
    found: "y",
    evidence: "",
  } as const;
  const plugins = { docker: "5.2.0", command: "1.2.1" };
  const versions = { engine: "26.1.5", docker: "26.1.5", pulumi: "3.259.0", plugins };
  const links = [
    { ...entry, warning: "one" },
    entry,
    { ...entry, warning: "one" },
    { ...entry, service: "b" },
  ];
  const certificate = certify({ stack: "dev", commit: "abc", url: "http://x", versions, links });
  expect(warningsOf(certificate.links)).toEqual(["browser of web: one"]);
});

describe("assertUnbroken", () => {
  const of = (link: "served" | "container") =>
    broken({
      link,
      service: "backend",
      wrong: "it is old",
      expected: "X",
      found: "Y",
      evidence: "",
      remedy: "Do Z.",
    });

  it("passes proven links", () => {
    expect(() => assertUnbroken([versionVerdict(expectation, [good])])).not.toThrow();
  });

  it("names the first broken link of the chain, in any input order", () => {
    expect(() => assertUnbroken([of("served"), of("container")])).toThrow(
      new FreshnessError(of("container")).message,
    );
    expect(new FreshnessError(of("served")).message).toBe(
      "freshness: served of backend: it is old; expected X, found Y. Do Z.",
    );
  });
});
