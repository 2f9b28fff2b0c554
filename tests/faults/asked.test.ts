import { symlinkSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { inMatrix, timed } from "../support/matrix";
import { type Outcome, TestStack } from "../support/stack";

const DOCKERFILE = `FROM python:3.11-slim-bookworm
WORKDIR /app/src
ARG GIT_COMMIT_HASH TARGETARCH
RUN printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
RUN --mount=type=secret,id=token grep -q s3cr3t /run/secrets/token
COPY server.\${TARGETARCH}.py server.py
COPY start.sh ./
USER 10001:10001
CMD ["python3", "server.py"]
`;

const SECRET = "s3cr3t-of-the-build";

/** Caddy writes files of its own when it starts. */
const SITE = `FROM caddy:2.11
ARG GIT_COMMIT_HASH
RUN mkdir -p /app /srv && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
RUN printf '{"commit":"%s"}' "$GIT_COMMIT_HASH" > /srv/version && echo "<p>$GIT_COMMIT_HASH" > /srv/index.html
COPY site.Caddyfile /etc/caddy/Caddyfile
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
`;

/** As images with s6-overlay do. */
const START = `#!/bin/sh
[ $$ = 1 ] || { echo "fatal: can only run as pid 1" >&2; exit 100; }
exec "$@"
`;

/** A web app that is particular about how it is asked, and a worker that finishes its job after SIGTERM. */
const SERVER = `
import http.server, json, os, signal, sys, time
COMMIT = open("/app/COMMIT").read().strip()
RULE = "none"

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in ("127.0.0.1", "health.test") or "watch-party" not in self.headers.get("User-Agent", "none"):
            return self.answer(400, "host not allowed: " + host)
        if RULE == "health" and self.path == "/healthz" and self.headers.get("X-Probe") != "deploy":
            return self.answer(302, "", Location="https://login.test/?next=/healthz")
        if RULE == "health" and self.path == "/healthz" and host != "health.test":
            return self.answer(400, "host not allowed: " + host)
        if RULE == "https" and self.path not in ("/healthz", "/version"):
            if self.headers.get("X-Forwarded-Proto") != "https":
                return self.answer(301, "", Location="https://" + self.headers["Host"] + self.path)
        if self.path == "/healthz": return self.answer(204, "")
        if self.path == "/version": return self.answer(200, json.dumps({"commit": COMMIT}))
        kind = {"Content-Type": "text/html"}
        self.answer(200, "<!doctype html><title>t</title><p>" + COMMIT, **kind)

    def answer(self, status, text, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-cache")
        for name, value in headers.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_): pass

def work():
    def log(text):
        with open("/jobs/log", "a") as file: file.write(COMMIT[:7] + " " + text + "\\n")
    def finish(*_):
        log("asked to end")
        time.sleep(12 if RULE == "none" else 0)
        log("finished")
        sys.exit(0)
    signal.signal(signal.SIGUSR1, finish)
    log("begun")
    while True: time.sleep(1)

work() if sys.argv[1:] == ["work"] else http.server.ThreadingHTTPServer((os.environ.get("BIND", "0.0.0.0"), 3000), Handler).serve_forever()
`;

const rule = (name: string) => SERVER.replace('RULE = "none"', `RULE = "${name}"`);

/** Stands for a proxy that terminates TLS in front of the edge. */
function proxyTo(port: number): Server {
  return createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, "x-forwarded-proto": "https" };
    const onward = request(
      { port, host: "127.0.0.1", path: incoming.url, method: incoming.method, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.writeHead(502).end());
    incoming.pipe(onward);
  });
}

describe("an app with strict rules for requests", () => {
  let app: TestApp;
  let stack: TestStack;
  let proxy: Server;
  let url: string;
  const web = {
    context: ".",
    port: 3000,
    route: "/",
    health: "/healthz",
    startSeconds: 4,
    init: false,
    entrypoint: ["/bin/sh", "/app/src/start.sh"],
    command: "python3 server.py",
    tmpfs: ["/scratch"],
    shmMb: 96,
    extraHosts: { "db.test": "192.0.2.7", engine: "host-gateway" },
    cpus: 1.5,
    pidsLimit: 300,
    user: "10002:10002",
    buildSecrets: { token: { env: "ASKED_TOKEN" } },
  };
  const site = {
    context: ".",
    dockerfile: "site.Dockerfile",
    port: 3000,
    route: "/site",
    stripPrefix: true,
    pages: ["/site/"],
    capabilities: "webserver",
  };
  const worker = {
    image: "web",
    command: ["python3", "server.py", "work"],
    stopSeconds: 40,
    stopSignal: "SIGUSR1",
    user: "0",
    volumes: { jobs: "/jobs" },
  };

  beforeAll(async () => {
    app = await TestApp.create();
    symlinkSync("web.Dockerfile", join(app.folder, "Dockerfile"));
    await app.commit({
      "web.Dockerfile": DOCKERFILE,
      "start.sh": START,
      "server.amd64.py": SERVER,
      "site.Dockerfile": SITE,
      "site.Caddyfile": ":3000 {\n\troot * /srv\n\tfile_server\n\theader Cache-Control no-cache\n}\n",
    });
    const config = { source: app.folder, services: { web, worker, site } };
    stack = await TestStack.create(config, { ASKED_TOKEN: SECRET });
    proxy = proxyTo(stack.port);
    await new Promise<void>((listening) => proxy.listen(0, "127.0.0.1", listening));
    url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    await stack.configure({ publicUrl: url });
  });
  afterAll(async () => {
    await stack?.remove();
    proxy?.close();
    app?.remove();
  });

  const docker = async (...args: string[]) => (await execa("docker", args)).stdout;
  const inspect = async (service: string, format: string) =>
    docker("inspect", "--format", format, await stack.container(service));
  const served = async () => (await fetch(url, { headers: { "user-agent": "watch-party test" } })).text();
  const up = async (): Promise<Outcome> => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  /** A container of the stack's network asks another by a name. */
  const resolve = (service: string, name: string) =>
    stack.container(service).then((id) => docker("exec", id, "getent", "hosts", name));

  it("deploys at the first try if it answers only to its own host names", async () => {
    const { said } = await up();
    const commit = await app.git("rev-parse", "HEAD");
    expect(await served()).toContain(commit);
    expect(await (await fetch(`${url}/site/`)).text()).toContain(commit);
    const history = await docker("history", "--no-trunc", await inspect("web", "{{.Image}}"));
    // What it is compared with stands in the Dockerfile.
    expect([said, stack.state(), history].map((text) => text.includes(SECRET))).toEqual([
      false,
      false,
      false,
    ]);
  });

  it("changes nothing at the next up, with all options set", async () => {
    expect((await up()).changes).toEqual({});
  });

  it("runs with all its options", async () => {
    const limits =
      "{{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}} {{.HostConfig.Init}} {{.Config.User}}";
    expect(await inspect("web", limits)).toBe(`1500000000 300 ${96 * 1024 ** 2} false 10002:10002`);
    expect(await inspect("web", "{{json .HostConfig.Tmpfs}}")).toBe('{"/scratch":""}');
    expect(await resolve("web", "db.test")).toMatch(/^192\.0\.2\.7\s/);
    expect(await inspect("worker", "{{.Config.StopSignal}} {{.HostConfig.PidsLimit}}")).toBe("SIGUSR1 4096");
    expect(await inspect("edge", "{{.HostConfig.PidsLimit}}")).toBe("4096");
    expect(await inspect("worker", "{{.Image}}")).toBe(await inspect("web", "{{.Image}}"));
  });

  it("is healthy for Docker by the rule of the deploy", async () => {
    const state = () => inspect("web", "{{.State.Health.Status}}");
    while ((await state()) === "starting") await new Promise((later) => setTimeout(later, 500));
    expect(await state()).toBe("healthy");
  });

  it("is reachable by its plain name within its release", async () => {
    const address = await inspect("web", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    expect(await resolve("worker", "web")).toMatch(new RegExp(`^${address.replaceAll(".", "\\.")}\\s`));
  });

  it("is refused if its health path redirects, with the target", async () => {
    await inMatrix(
      { into: "deploy", fault: "the health path redirects to a login", link: "container" },
      async (row) => {
        const before = await served();
        await app.commit({ "server.amd64.py": rule("health") });
        const outcome = await timed(row, () => stack.up());
        expect(outcome.said).toMatch(
          /freshness: container of web: .* found no such answer \(status 302, a redirect to https:\/\/login\.test\/\?next=\/healthz\).*watch-party:services\.web\.healthHeaders/s,
        );
        expect(await served()).toBe(before);
        row.detected = true;
        row.twin = false;
        const asked = (healthHeaders: Record<string, string>) =>
          stack.configure({ services: { web: { ...web, healthHeaders }, worker, site } });
        await asked({ "X-Probe": "deploy" });
        expect((await stack.up()).said).toMatch(
          /found no such answer \(status 400, .*Allow that host in the app, or set another in watch-party:services\.web\.healthHeaders\.Host/s,
        );
        expect(await served()).toBe(before);
        await asked({ "X-Probe": "deploy", Host: "health.test:80" });
        await up();
        row.twin = true;
        expect(await served()).toContain(await app.git("rev-parse", "HEAD"));
      },
    );
  });

  it("lets a worker finish its job when it is replaced", async () => {
    const log = await docker("exec", await stack.container("worker"), "cat", "/jobs/log");
    const first = log.split("\n")[0]!.slice(0, 7);
    expect(log).toContain(`${first} asked to end\n`);
    expect(log).toContain(`${first} finished`);
  });

  it("is refused if its public address redirects endlessly", async () => {
    await inMatrix(
      { into: "deploy", fault: "the public address redirects endlessly", link: "served" },
      async (row) => {
        const before = await served();
        await app.commit({ "server.amd64.py": rule("https") });
        await stack.configure({ services: { web, worker: { ...worker, stopSeconds: 1 }, site } });
        const outcome = await timed(row, () => stack.up());
        expect(outcome.said).toMatch(
          /freshness: served of web: http:\S+ redirects .*watch-party:trustedProxies/s,
        );
        expect(await served()).toBe(before);
        row.detected = true;
        row.twin = false;
        await stack.configure({ trustedProxies: ["private_ranges"] });
        await up();
        row.twin = true;
        expect(await served()).toContain(await app.git("rev-parse", "HEAD"));
      },
    );
  });

  it("is reachable from a container outside the stack, which destroy leaves running", async () => {
    const network = await inspect("web", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}");
    const guest = await docker(
      "run",
      "--detach",
      "--name",
      `guest-${stack.name}`,
      "debian:bookworm-slim",
      "sleep",
      "600",
    );
    try {
      await docker("network", "connect", network, guest);
      expect(await resolve("web", `guest-${stack.name}`)).toMatch(/\d/);
      expect((await stack.verify()).status).toBe(0);
      const outcome = await stack.remove();
      expect(outcome.said).not.toContain("error");
      expect(outcome.ok).toBe(true);
      expect(await docker("inspect", "--format", "{{.State.Running}}", guest)).toBe("true");
    } finally {
      await docker("rm", "--force", guest);
    }
  });
});
