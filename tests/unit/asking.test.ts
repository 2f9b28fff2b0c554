import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import execa from "execa";
import type { Break } from "../../freshness/chain";
import { unhealthyVerdict } from "../../freshness/container";
import { versionVerdict } from "../../freshness/served";
import type { Answer } from "../../freshness/served/answer";
import { publicHeaders, readAnswer, requestText, shownAnswer } from "../../freshness/served/asking";
import { type Followed, loopVerdict } from "../../freshness/served/redirects";
import { BUSY } from "../../proof/instances";

const answer = (status: number, more: Partial<Answer> = {}): Answer => ({
  url: "http://web:3000/version",
  address: "",
  status,
  headers: {},
  body: "",
  error: "",
  ...more,
});

describe("a busy machine", () => {
  it.each([
    ["7.99", 1],
    ["8.00", 0],
    ["26.40", 0],
  ])(
    "has more than four runnable processes for each of its two processors: load %s exits %s",
    async (load, code) => {
      const machine = `${BUSY}\nloadavg() { echo "${load} 1.00 1.00 1/100 1"; }\nnproc() { echo 2; }\nbusy`;
      expect((await execa("sh", ["-c", machine], { reject: false })).exitCode).toBe(code);
    },
  );

  it("tells its load", async () => {
    expect((await execa("sh", ["-c", `${BUSY}\nloadavg`])).stdout).toMatch(/^\d+\.\d+ /);
  });
});

describe("a request to a container", () => {
  it("has the host, the scheme and the user agent of the program", () => {
    expect(publicHeaders("https://app.example.org:8443/x")).toEqual({
      Host: "app.example.org:8443",
      "User-Agent": expect.stringContaining("watch-party"),
      Accept: "*/*",
      "X-Forwarded-For": "127.0.0.1",
      "X-Forwarded-Host": "app.example.org:8443",
      "X-Forwarded-Proto": "https",
    });
  });

  it("uses the service's headers instead of its own, in any case", () => {
    const headers = publicHeaders("https://app.test", { host: "localhost", "X-Token": "a" });
    expect(headers).toMatchObject({ host: "localhost", "X-Token": "a" });
    expect(headers).not.toHaveProperty("Host");
  });

  it("is valid HTTP", () => {
    expect(requestText("/healthz?a=1", { Host: "app.test", Accept: "*/*" })).toBe(
      "GET /healthz?a=1 HTTP/1.1\r\nHost: app.test\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    );
  });
});

describe("readAnswer", () => {
  it.each([
    ["HTTP/1.1 204 No Content\r\nA: 1\r\na: 2\r\n\r\n", { status: 204, headers: { a: "1, 2" }, body: "" }],
    ["HTTP/1.0 200 OK\n\nbody", { status: 200, headers: {}, body: "body" }],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nüa\r\n5;x=1\r\nhello\r\n0\r\n\r\n",
      { status: 200, body: "üahello" },
    ],
    [
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: /a/\r\n\r\n",
      { status: 301 },
    ],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", { status: 200, body: "hel" }],
  ])("reads %j", (raw, expected) => {
    expect(readAnswer(Buffer.from(raw))).toMatchObject(expected);
  });

  it.each([
    ["gzip", gzipSync],
    ["Deflate", deflateSync],
    ["br", brotliCompressSync],
  ] as const)("decodes a body in %s, also in chunks", (encoding, encode) => {
    const body = encode('{"commit": "ü"}');
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${encoding}\r\n`;
    const whole = Buffer.concat([Buffer.from(`${head}\r\n`), body]);
    const chunk = [
      `${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`,
      "\r\n0\r\n\r\n",
    ];
    const chunked = Buffer.concat([Buffer.from(chunk[0] ?? ""), body, Buffer.from(chunk[1] ?? "")]);
    expect(readAnswer(whole)?.body).toBe('{"commit": "ü"}');
    expect(readAnswer(chunked)?.body).toBe('{"commit": "ü"}');
  });

  it("leaves a body that is not in its encoding, or too large when decoded", () => {
    const head = Buffer.from("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    expect(readAnswer(Buffer.concat([head, Buffer.from("plain")]))?.body).toBe("plain");
    const bomb = readAnswer(Buffer.concat([head, gzipSync(Buffer.alloc(8 * 1024 * 1024))]));
    expect(bomb?.body.length).toBeLessThan(20_000);
  });

  it.each(["", "SSH-2.0-OpenSSH", "HTTP/1.1 abc"])("treats %j as no answer", (raw) => {
    expect(readAnswer(Buffer.from(raw))).toBeUndefined();
  });
});

it.each([
  [answer(0, { error: "refused" }), "refused"],
  [answer(301, { headers: { location: "https://a.test/" } }), "status 301, a redirect to https://a.test/"],
  [answer(400, { body: "host  not\nallowed\n" }), 'status 400, "host not allowed"'],
  [answer(503), "status 503"],
])("shows the output that came instead of an answer", (given, text) => {
  expect(shownAnswer(given)).toBe(text);
});

describe("a new container that does not become healthy", () => {
  const judge = (status: number) =>
    unhealthyVerdict(
      { name: "web", startSeconds: 5 },
      { url: "http://web:1/", said: `status ${status}`, status },
      { name: "web-1" },
    );

  it("reports a redirect, and the setting that changes the request", () => {
    expect(judge(301)).toMatchObject({
      found: expect.stringContaining("status 301"),
      remedy: expect.stringContaining("watch-party:services.web.healthHeaders"),
    });
  });

  it("names the path with a slash if that alone differs", () => {
    const asked = {
      url: "http://web:1/up",
      said: "status 308",
      status: 308,
      to: "http://localhost/up/",
    };
    expect(unhealthyVerdict({ name: "web", startSeconds: 5 }, asked, { name: "web-1" }).remedy).toBe(
      'The app redirects /up to /up/. Set watch-party:services.web.health to "/up/", then deploy again.',
    );
  });

  it.each([400, 403, 421])("reports the host of the request if it answers %i", (status) => {
    expect(judge(status).remedy).toContain("watch-party:services.web.healthHeaders.Host");
  });
});

describe("a version path that redirects", () => {
  const judge = (location: string) =>
    versionVerdict({ link: "container", service: "web", commit: "c" }, [
      answer(308, { headers: { location } }),
    ]);

  it("is reported as a missing slash", () => {
    expect(judge("/version/")).toMatchObject({
      status: "broken",
      wrong: "http://web:3000/version answers with a redirect",
      found: "status 308, a redirect to /version/",
      remedy:
        'The app redirects /version to /version/. Set watch-party:services.web.version to "/version/", then deploy again.',
    });
  });

  it("is reported as a redirect to HTTPS", () => {
    expect(judge("https://web:3000/version")).toMatchObject({
      remedy: expect.stringContaining("redirects plain HTTP to HTTPS"),
    });
  });

  it.each<[string, string, RegExp]>([
    ["the path has a slash", "/version/", /Set \S+\.version to "(\/version\/)"/],
    ["the path is excluded from the redirect", "https://web:3000/version", /exclude the version path/],
    ["another path is used", "/login", /Set \S+\.version to a path that answers without a redirect/],
  ])("passes if %s, as its remedy says", (_, location, remedy) => {
    const broken = judge(location) as Break;
    expect(broken.remedy).toMatch(remedy);
    const [, path = "/version"] = remedy.exec(broken.remedy) ?? [];
    const direct = answer(200, { url: `http://web:3000${path}`, body: JSON.stringify({ commit: "c" }) });
    const asked = { link: "container", service: "web", commit: "c" } as const;
    expect(versionVerdict(asked, [direct])).toMatchObject({ status: "proven" });
  });
});

describe("loopVerdict", () => {
  const url = "http://app.test/";
  const first = (location: string) => answer(301, { url, headers: { location } });
  const followed = (end: Followed["end"], last: Answer, location = "https://app.test/"): Followed => ({
    url,
    first: first(location),
    last,
    end,
  });

  it("refuses endless redirects, and names the key for a proxy", () => {
    expect(loopVerdict("web", "c", [followed("endless", first(url))])).toMatchObject({
      link: "served",
      wrong: "http://app.test/ redirects endlessly",
      remedy: expect.stringContaining("watch-party:trustedProxies"),
    });
  });

  it("passes a redirect that the app corrects", () => {
    const broken = loopVerdict("web", "c", [followed("endless", first("/a"), "/a")]);
    expect(broken?.remedy).toBe("Correct the redirect in the app, then deploy again.");
    expect(loopVerdict("web", "c", [followed("answer", answer(200, { url }), "/a")])).toBeUndefined();
  });

  it("refuses a redirect to an address without an answer", () => {
    const last = answer(0, { url: "https://app.test/", error: "connect ECONNREFUSED" });
    expect(loopVerdict("web", "c", [followed("answer", last)])?.found).toContain("ECONNREFUSED");
  });

  it.each([
    ["a page", followed("answer", answer(200))],
    ["another host", followed("elsewhere", first("https://other.test/"))],
    [
      "an authority that is not known here",
      followed("answer", answer(0, { url: "https://app.test/", error: "self-signed certificate" })),
    ],
    [
      "no redirect",
      { url, first: answer(0, { url }), last: answer(0, { url, error: "refused" }), end: "answer" as const },
    ],
  ])("accepts %s", (_, each) => {
    expect(loopVerdict("web", "c", [each])).toBeUndefined();
  });
});
