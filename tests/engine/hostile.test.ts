import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseConfig } from "../../config";
import { waitingCaddyfile } from "../../edge/caddy";
import { switchAndProve } from "../../edge/switch";
import { DockerEngine } from "../../engine/docker";
import { warningsOf } from "../../freshness/chain";
import { type Deployment, withoutValues } from "../../proof/deployment";
import { FULL } from "../support/matrix";
import { freePort } from "../support/stack";

/** A server of one page, its version and its assets; HOSTILE selects its behaviour at a hostile path. */
const SERVER = `
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
COMMIT = os.environ["COMMIT"]
HOSTILE = json.loads(os.environ["HOSTILE"])
PAGE = "<!doctype html><title>%s</title><script src=/app.js></script>%s" % (COMMIT, HOSTILE.get("page", ""))
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        path = self.path
        if path in HOSTILE.get("endless", []): return self.endless()
        if path.startswith("/silent/"): time.sleep(60)
        if path == "/version": self.answer(200, json.dumps({"commit": COMMIT}), "application/json")
        elif path == "/": self.answer(200, PAGE + "<!--" * HOSTILE.get("comments", 0), "text/html")
        elif path == "/app.js": self.answer(200, "1;", "text/javascript")
        elif path == "/sw.js" and "worker" in HOSTILE: self.answer(200, HOSTILE["worker"], "text/javascript")
        else: self.answer(404, "none", "text/plain")
    def answer(self, status, text, kind):
        body = text.encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", len(body)), ("Cache-Control", "no-cache")):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Connection", "close")
        self.end_headers()
        while True: self.wfile.write(b"<p>%s</p>" % COMMIT.encode() * 1024)
    def log_message(self, *_): pass
ThreadingHTTPServer(("0.0.0.0", 3000), Handler).serve_forever()
`;

interface Hostile {
  /** What stands in the page besides. */
  readonly page?: string;
  /** Unclosed comments behind the page. */
  readonly comments?: number;
  /** Paths whose answers do not end. */
  readonly endless?: readonly string[];
  readonly worker?: string;
}

/** The edge and containers of a service, without images to build and without a stack: what is switched and proven is real. */
describe("a hostile release", () => {
  const name = `hostile-${process.pid}`;
  const engine = new DockerEngine();
  const image = "python:3.11-slim-bookworm";
  const containers: string[] = [];
  let edge: string;
  let url: string;
  let count = 0;
  let served: string;

  const docker = async (...args: string[]) => (await execa("docker", args)).stdout;

  beforeAll(async () => {
    await docker("network", "create", name);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const run = `mkdir -p /edge; printf '%s' "$WAITING" > /edge/Caddyfile; exec caddy run --config /edge/Caddyfile --adapter caddyfile`;
    const args = [
      "--network",
      name,
      "--publish",
      `127.0.0.1:${port}:80`,
      "--env",
      `WAITING=${waitingCaddyfile()}`,
    ];
    edge = await docker("run", "--detach", "--memory", "256m", ...args, "caddy:2.11", "sh", "-c", run);
    containers.push(edge);
  });
  afterAll(async () => {
    await execa("docker", ["rm", "--force", "--volumes", ...containers], { reject: false });
    await execa("docker", ["network", "rm", name], { reject: false });
  });

  /** Starts a release's container, switches to it and proves it; one that is refused is the last that it says. */
  async function deploy(
    hostile: Hostile,
    settings: object = {},
  ): Promise<{ said: string; warnings: string[] }> {
    const commit = String(++count).padStart(40, "a");
    const host = `web-${count}`;
    const given = { route: "/", port: 3000, pages: ["/"], startSeconds: 20, readOnly: true, ...settings };
    const [service] = parseConfig({ services: { web: given } }).services;
    const variables = ["--env", `COMMIT=${commit}`, "--env", `HOSTILE=${JSON.stringify(hostile)}`];
    const where = ["--network", name, "--network-alias", host, "--read-only", "--tmpfs", "/tmp"];
    const container = await docker("run", "--detach", ...where, ...variables, image, "python3", "-c", SERVER);
    containers.push(container);
    const { Id } = (await engine.inspectImage(image))!;
    const deployment: Deployment = {
      commit,
      url,
      edge,
      id: String(count),
      network: name,
      services: [{ service: withoutValues(service!), container, image: Id, tag: image, host }],
    };
    const { tls } = parseConfig({});
    try {
      const verdicts = await switchAndProve(engine, deployment, { tls });
      served = commit;
      return { said: "", warnings: warningsOf(verdicts) };
    } catch (cause) {
      return { said: (cause as Error).message, warnings: [] };
    } finally {
      const answer = await fetch(`${url}/.freshness/web`);
      expect(await answer.json()).toEqual({ commit: served });
    }
  }

  const CACHE_FIRST = `
    addEventListener("install", (e) => e.waitUntil(caches.open("1").then((c) => c.add("/")).then(() => skipWaiting())));
    addEventListener("fetch", (e) => e.respondWith(caches.match(e.request).then((hit) => hit ?? fetch(e.request))));`;
  const registers = '<script>navigator.serviceWorker.register("/sw.js")</script>';

  it("is deployed without the hostile part", async () => {
    expect(await deploy({})).toEqual({ said: "", warnings: [] });
  });

  it.each<[string, Hostile, object, RegExp]>([
    [
      "its page does not end",
      { endless: ["/"] },
      {},
      /^freshness: served of web: .* no answer \(the answer did not end within 32 MiB\)/,
    ],
    [
      "its page does not end, and need not name the commit",
      { endless: ["/"] },
      { pages: [] },
      /^freshness: browser of web: .* does not end; .*the answer did not end within 32 MiB/,
    ],
    [
      "its version does not end",
      { endless: ["/version"] },
      {},
      /^freshness: container of web: .*the answer did not end within 200 kB/,
    ],
    [
      "its page keeps a reader busy and lacks a script",
      { comments: 1_250_000, page: "<script src=/gone.js></script>" },
      {},
      /^freshness: browser of web: .*\/gone\.js \(status 404\)/,
    ],
    [
      "a script of its page does not end",
      { endless: ["/long.js"], page: "<script src=/long.js></script>" },
      {},
      /^freshness: browser of web: .*\/long\.js \(no answer\)/,
    ],
    [
      "it lacks a picture, and strictAssets is set",
      { page: "<img src=/uploads/1.png>" },
      { strictAssets: true },
      /^freshness: browser of web: .*\/uploads\/1\.png \(status 404\)/,
    ],
  ])("is refused if %s, and the previous release is served again", async (_, hostile, settings, said) => {
    const started = performance.now();
    expect((await deploy(hostile, settings)).said).toMatch(said);
    expect(performance.now() - started).toBeLessThan(120_000);
  });

  it("is deployed once its paths answer and end, as the remedies say", async () => {
    const { said } = await deploy({ endless: ["/"] }, { pages: [] });
    expect(said).toContain("See what the service logs for that path, then deploy again.");
    expect(await deploy({}, { pages: [] })).toEqual({ said: "", warnings: [] });
  });

  // Reading the page's scripts is given three minutes.
  if (FULL)
    it("is refused if its pages cannot be read in time, and deployed once they can", async () => {
      const page = Array.from({ length: 60 }, (_, at) => `<script src=/silent/${at}.js></script>`).join("");
      const { said } = await deploy({ page });
      expect(said).toMatch(
        /^freshness: browser of web: .* cannot be proven in time; expected all answers within 180 s/,
      );
      expect(said).toContain(
        "See which of the service's paths answer slowly or without end, then deploy again.",
      );
      expect(await deploy({})).toEqual({ said: "", warnings: [] });
    }, 400_000);

  it("is deployed with a warning if its page is large and lacks optional assets", async () => {
    const page = "<link rel=icon href=/favicon.ico><img src=/uploads/1.png><img src=/live>";
    const { said, warnings } = await deploy({ comments: 1_250_000, page, endless: ["/live"] });
    expect(said).toBe("");
    expect(warnings).toEqual([
      expect.stringMatching(
        /^browser of web: .* refers to missing assets: .*favicon\.ico .*1\.png \(status 404\)$/,
      ),
    ]);
  });

  it("is deployed with its first worker, which answers from its cache", async () => {
    const { said } = await deploy({ page: registers, worker: CACHE_FIRST });
    expect(said).toBe("");
  });

  it("is refused if browsers have a worker whose successor does not end", async () => {
    const { said } = await deploy({ page: registers, endless: ["/sw.js"] });
    expect(said).toMatch(/^freshness: browser of web: the new release has no script at \/sw\.js/);
  });

  it("leaves nothing in the edge", async () => {
    expect(await docker("exec", edge, "ls", "/tmp")).toBe("");
  });
});
