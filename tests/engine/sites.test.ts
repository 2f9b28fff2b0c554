import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { inMatrix, timed } from "../support/matrix";
import { TestStack } from "../support/stack";

const KEY = "0123456789abcdef_key";
/** Of the password "mallard". */
const HASH = "$2a$04$mT6d99WcUD4vYXUJ3DdLD.oSp92nWOv72EIiO9QLzytnFvo9wG5wy";

/** One stack without TLS, whose names are those of the Host header. */
describe("the edge of a site with several names", () => {
  let app: TestApp;
  let stack: TestStack;
  let commit = "";
  const keys = {
    redirects: {
      "www.party.test": "party.test",
      "/old/*": { to: "/api/*", status: 302 },
    },
    headers: { preset: "security", "X-Party": "on {air}" },
    compression: true,
    bodyLimit: "1KB",
    timeouts: { answerSeconds: 5 },
    accessLog: true,
    extra: "@hello path /hello /.freshness/frontend\nrespond @hello hi",
  };

  beforeAll(async () => {
    app = await TestApp.create();
    commit = await app.git("rev-parse", "HEAD");
    const services = {
      frontend: {},
      backend: {},
      api: { image: "backend", port: 8000, route: "/", health: "/healthz", hosts: ["api.party.test"] },
    };
    stack = await TestStack.create({ source: app.folder, services });
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  const up = async () => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  type Answer = { status: number; headers: Record<string, unknown>; body: string };
  const ask = (path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const method = body === undefined ? "GET" : "POST";
      const asked = request({ host: "127.0.0.1", port: stack.port, path, method, headers }, (answer) => {
        let text = "";
        answer.setEncoding("latin1").on("data", (chunk) => {
          text += chunk;
        });
        answer.once("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
        );
      });
      asked.once("error", reject).end(body);
    });
  const edgeLog = async () => {
    const { stderr } = await execa("docker", ["logs", await stack.container("edge")]);
    return stderr;
  };

  it("serves a service on its own host, and the others on all else", async () => {
    await up();
    const api = { Host: "api.party.test" };
    expect(JSON.parse((await ask("/version", api)).body)).toEqual({ commit });
    expect((await ask("/api/hello", api)).body).toContain("hello");
    expect((await ask("/", api)).status).toBe(404);
    expect((await ask("/")).body).toContain(commit);
    expect((await ask("/", { Host: "any.test" })).body).toContain(commit);
  });

  it("keeps its port open while it gets other keys, which the preview names", async () => {
    await stack.configure(keys);
    const said =
      "its port stays open; changed: redirects, headers, compression, bodyLimit, timeouts, accessLog, extra";
    expect((await stack.preview()).said).toContain(said);
    const { result, requests, failures } = await underLoad([stack.url, `${stack.url}/api/hello`], up);
    expect(Object.keys(result.changes)).toEqual([]);
    // A reload of Caddy closes idle connections, and a request may just be on its way over one: a few in a hundred at most.
    expect(requests).toBeGreaterThan(100);
    expect(failures.length).toBeLessThan(requests / 50);
    expect(failures.filter((each) => /ECONNREFUSED|timeout|status/.test(each))).toEqual([]);
  });

  it("gets its configuration again, after verify has refused another one that Caddy was given", () =>
    inMatrix(
      { into: "running", fault: "the edge is given another configuration by hand", link: "served" },
      async (row) => {
        // All but the page is as it was, and the edge's files too.
        const old = '\n\thandle / {\n\t\trespond "an old page"\n\t}';
        const script = `sed "s#^http:// {#&$1#" /edge/Caddyfile > /tmp/other; caddy reload --config /tmp/other --adapter caddyfile`;
        const edge = await stack.container("edge");
        await execa("docker", ["exec", edge, "sh", "-c", script, "sh", old.replaceAll("\n", "\\n")]);
        expect((await ask("/")).body).toBe("an old page");
        const refused = await timed(row, () => stack.verify());
        expect([refused.status, refused.stderr]).toEqual([
          1,
          expect.stringContaining(
            "served of every service: somebody has given the edge another configuration",
          ),
        ]);
        row.detected = true;
        row.twin = false;
        expect((await up()).changes).toEqual({});
        expect((await ask("/")).body).toContain(commit);
        expect((await stack.verify()).status).toBe(0);
        // Started again it has the same.
        await execa("docker", ["restart", "--time", "1", edge]);
        expect((await stack.verify()).stderr).toBe("");
        row.twin = true;
      },
    ));

  it("does what its keys say, and changes nothing at the next up", async () => {
    const moved = await ask("/a?b=1", { Host: "www.party.test" });
    expect([moved.status, moved.headers.location]).toEqual([308, `http://party.test:${stack.port}/a?b=1`]);
    expect(moved.headers["cache-control"]).toBe("max-age=60");
    const below = await ask("/old//hello?x=1");
    expect([below.status, below.headers.location]).toEqual([302, "/api/hello?x=1"]);
    const page = await ask("/", { "Accept-Encoding": "gzip", Authorization: "Basic c2VjcmV0" });
    expect(page.headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-party": "on {air}",
      "cache-control": "no-cache",
    });
    expect(page.headers["strict-transport-security"]).toBeUndefined();
    expect((await ask("/api/hello", {}, "x".repeat(2000))).status).toBe(413);
    expect((await ask("/hello")).body).toBe("hi");
    // The program's own path is not for `extra`.
    expect(JSON.parse((await ask("/.freshness/frontend")).body)).toEqual({ commit });
    const log = await edgeLog();
    expect(log).toContain('"uri":"/old//hello?x=1"');
    expect(log).not.toContain("c2VjcmV0");
    expect((await up()).changes).toEqual({});
  });

  it("keeps its configuration if Caddy refuses extra, and says in which line", async () => {
    const refused = async (extra: string, words: RegExp) => {
      await stack.configure({ extra });
      const { ok, said } = await stack.up();
      expect(said).toMatch(words);
      expect(ok).toBe(false);
      expect((await ask("/hello")).body).toBe("hi");
    };
    await refused(
      "header X-A a\nrespnd /b c",
      /watch-party:extra is refused by Caddy in line 2: unrecognized directive: respnd/,
    );
    await refused(
      "respond /b c\n}\n}\nhandle /.freshness/* {\nroute {\n\trespond fresh",
      /watch-party:extra ends the block that it stands in, and would take the program's own routes/,
    );
    await refused(
      "@upgrade path /x\nrespond @upgrade x",
      /refused by Caddy.* matcher is defined more than once/,
    );
  });

  it("is refused with a header that lets browsers keep pages, and the old one serves on", async () => {
    await inMatrix(
      { into: "deploy", fault: "the edge's headers let browsers keep pages", link: "browser" },
      async (row) => {
        await stack.configure({ extra: keys.extra, headers: { "Cache-Control": "max-age=3600" } });
        const outcome = await timed(row, () => stack.up());
        expect(outcome.said).toMatch(/freshness: browser of frontend: .*max-age=3600/);
        expect(outcome.ok).toBe(false);
        expect((await ask("/")).headers).toMatchObject({
          "cache-control": "no-cache",
          "x-party": "on {air}",
        });
        row.detected = true;
        row.twin = false;
        await stack.configure({ headers: { "Cache-Control": "max-age=30" } });
        await stack.configure({ basicAuth: { ada: HASH }, freshnessKey: KEY }, true);
        await up();
        row.twin = true;
      },
    );
  });

  it("answers /.freshness only with the key, which no service sees", async () => {
    expect((await ask("/.freshness/frontend")).status).toBe(404);
    const guess = { "X-Freshness-Key": "0123456789abcdef_guess" };
    expect((await ask("/.freshness/frontend", guess)).status).toBe(404);
    const answer = await ask("/.freshness/frontend", { "X-Freshness-Key": KEY });
    expect(JSON.parse(answer.body)).toEqual({ commit });
    expect((await ask("/.freshness/frontend", { "X-Freshness-Key": KEY }, "x")).status).toBe(405);
    expect((await stack.verify()).status).toBe(0);
    expect(stack.state()).not.toContain(KEY);
    expect(await edgeLog()).not.toContain(KEY);
  });

  it("asks for a password, which the program's own proofs do without", async () => {
    expect((await ask("/")).status).toBe(401);
    const login = (password: string) => ({
      Authorization: `Basic ${Buffer.from(`ada:${password}`).toString("base64")}`,
    });
    expect((await ask("/", login("mallord"))).status).toBe(401);
    expect((await ask("/", login("mallard"))).body).toContain(commit);
    expect((await ask("/", { "X-Freshness-Key": "guess" })).status).toBe(401);
    expect((await stack.verify()).status).toBe(0);
    expect(stack.state()).not.toContain(HASH);
  });
});
