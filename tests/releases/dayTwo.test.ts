import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { type JobRun, SERVED_FILE } from "../../freshness/container/schedule";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { inMatrix, type Named, timed } from "../support/matrix";
import { TestStack } from "../support/stack";

const SERVICES = {
  site: { port: 8080, route: "/", version: "none", assets: { "/assets": "/usr/share/caddy/assets" } },
  api: { port: 8000, route: "/api", health: "/healthz", replicas: 2, envFile: "api.env" },
  jobs: {
    image: "api",
    command: "python3 job.py",
    schedule: "* * * * *",
    env: { EXIT: "3" },
    volumes: { data: "/data" },
    backup: { kind: "sqlite", file: "/data/app.db", keep: 2 },
  },
};
const HOOKS = {
  beforeBuild: "echo building",
  beforeSwitch: 'echo "switching to $DEPLOY_RELEASE of $DEPLOY_COMMIT with ${TOKEN-nothing}"',
  afterSwitch: "echo switched; exit 4",
  afterFailure: 'echo "failed: $DEPLOY_ERROR"',
};
const CERTIFICATE = { schema: "watch-party/certificate/1" };

/** A webhook that keeps the events that it receives. */
async function listen() {
  const events: { event: string }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    events.push(JSON.parse(Buffer.concat(chunks).toString()));
    response.end();
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}/hook`, events, close };
}

/** One stack for what comes after the first deploy. */
describe("day two", () => {
  let app: TestApp;
  let stack: TestStack;
  let backups: string;

  let webhook: { readonly url: string; readonly events: { event: string }[]; close(): void };

  beforeAll(async () => {
    webhook = await listen();
    app = await TestApp.create("tests/fixtures/dayTwo");
    backups = mkdtempSync(join(tmpdir(), "watch-party-backups-"));
    const backup = { ...SERVICES.jobs.backup, to: backups };
    const services = { ...SERVICES, jobs: { ...SERVICES.jobs, backup } };
    stack = await TestStack.create({ source: app.folder, services });
    setToken("pa#ss$word-1");
    const { said } = await good();
    // One job runs at a time, so that its volume needs no setting.
    expect(said).not.toContain("at once");
  });
  afterAll(async () => {
    webhook?.close();
    await stack?.remove();
    app?.remove();
    rmSync(backups, { recursive: true, force: true });
  });

  const setToken = (token: string) =>
    writeFileSync(join(stack.folder, "api.env"), `TOKEN='${token}'\nMODE=file # of the api\n`);
  const good = async () => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  const text = async (path: string) => (await fetch(`${stack.url}${path}`)).text();
  const containers = async (service: string, ...options: string[]) => {
    const labels = [`watch-party.stack=${stack.name}`, `watch-party.service=${service}`];
    const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
    const { stdout } = await execa("docker", ["ps", "--quiet", "--no-trunc", ...options, ...filters]);
    return stdout.split("\n").filter((id) => id !== "");
  };
  /** Waits until a job of the served release has run, later than an earlier one. */
  const jobRun = async (after = 0) => {
    for (;;) {
      const { stdout } = await stack.command("status", "--json");
      const status = JSON.parse(stdout) as {
        release: string;
        services: { service: string; schedule?: { served: boolean; lastRun?: JobRun } }[];
      };
      const { served, lastRun } = status.services.find(({ service }) => service === "jobs")?.schedule ?? {};
      if (lastRun && lastRun.release === status.release && lastRun.began > after)
        return { served, ...lastRun };
    }
  };

  it("proves a service without a version path by its container and its static files", async () => {
    const { freshness } = (await stack.outputs()) as {
      freshness: { links: { link: string; service: string; found: string; evidence: string }[] };
    };
    const found = freshness.links.find(({ link, service }) => link === "served" && service === "site");
    expect(found?.found).toMatch(/^an answer from site-\S+:8080; \d files of the image$/);
    expect(found?.evidence).toContain("without a version path");
    const image = freshness.links.find(({ link, service }) => link === "image" && service === "site");
    expect(image?.evidence).toContain("without a commit file");
  });

  it("balances over the replicas, and counts and proves each", async () => {
    const names = new Set<string>();
    // One after the other, over one connection.
    for (let time = 0; time < 50 && names.size < 2; time++) names.add(await text("/api/who"));
    expect(names.size).toBe(2);
    const { stdout } = await stack.command("status", "--json");
    const { services } = JSON.parse(stdout) as { services: { service: string; replicas: unknown }[] };
    expect(services.filter(({ service }) => service === "api")).toMatchObject([
      { replicas: { running: 2, wanted: 2 } },
    ]);
    const { stdout: verified } = await stack.verify();
    expect(verified).toMatch(/alone at api\.1-\S+;.* alone at api\.2-/);
    expect(verified).toMatch(/served +api +proven .* from api\.1-.* from api\.2-/);
  });

  it("changes nothing without a change", async () => {
    expect((await good()).changes).toEqual({});
  });

  it("runs the jobs of the served release, and shows a failed one without refusing it", async () => {
    expect(await jobRun()).toMatchObject({ served: true, end: 3 });
    const { stdout } = await stack.command("status");
    expect(stdout).toMatch(
      /^schedule of jobs: \* \* \* \* \* \(UTC\), last run: \S+ \S+ exit 3 after \d+ s/m,
    );
    const commit = await app.git("rev-parse", "HEAD");
    expect((await stack.command("logs", "jobs")).stdout).toContain(`job of ${commit}`);
    // By hand, beside the schedule.
    const byHand = await stack.command("run", "jobs", "--", "python3", "job.py");
    expect(byHand).toMatchObject({ status: 3, stdout: `job of ${commit}` });
    const verified = await stack.verify();
    expect(verified.stderr).toBe("");
    expect(verified.stdout).toMatch(/container +jobs +proven .*last run: .* exit 3/);
  });

  it("backs up a SQLite file under the writes of jobs and reads it back, row by row", async () => {
    const sql = async (text: string) => {
      const program = `import sqlite3, sys; db = sqlite3.connect("/data/app.db", 10); print(*db.execute(sys.argv[1]).fetchone() or [0]); db.commit()`;
      const { status, stdout, stderr } = await stack.command(
        "exec",
        "jobs",
        "--",
        "python3",
        "-c",
        program,
        text,
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return Number(stdout);
    };
    await sql(
      "create table films as with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) select i from n",
    );
    const runs = await sql("select count(*) from runs");
    expect((await stack.command("backup", "jobs")).stdout).toMatch(
      /^jobs \d{8}T\d{6}Z-[0-9a-f]{7} \d+ bytes$/,
    );
    await sql("delete from films where i % 9 = 0");
    const restored = await stack.command("restore", "jobs", "--no-backup", "--yes");
    expect({ ...restored, stdout: "" }).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(await sql("select count(distinct i) from films")).toBe(1000);
    expect(await sql("select count(*) from runs")).toBeGreaterThanOrEqual(runs);
  });

  it("passes a changed secret of a file to new containers without a build or a failed request", async () => {
    expect(JSON.parse(await text("/api/env"))).toEqual({ TOKEN: "pa#ss$word-1", MODE: "file" });
    setToken("pa#ss$word-2");
    await stack.configure({ hooks: HOOKS, notify: [{ url: webhook.url, format: "json" }] });
    const urls = [`${stack.url}/api/who`, `${stack.url}/assets/app.css`];
    const { result, requests, failures } = await underLoad(urls, good);
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(100);
    expect(JSON.parse(await text("/api/env"))).toEqual({ TOKEN: "pa#ss$word-2", MODE: "file" });
    // A release talks within itself, so that its other containers are new too; nothing else is.
    expect(Object.keys(result.changes).sort()).toEqual([
      "Container api",
      "Container api.2",
      "Container jobs",
      "Container site",
    ]);
    // Those of the new release run; the old ones have stopped.
    expect(await jobRun()).toMatchObject({ served: true });
    expect(await containers("jobs", "--all")).toHaveLength(1);
    expect(result.said).not.toContain("pa#ss$word");
    const commit = await app.git("rev-parse", "HEAD");
    expect(result.said).not.toContain("building");
    expect(result.said).toMatch(
      new RegExp(`hook beforeSwitch: switching to ${commit.slice(0, 7)}-\\S+ of ${commit} with nothing`),
    );
    expect(result.said).toContain("hook afterSwitch: switched");
    expect(result.said).toMatch(/warning: hook afterSwitch: .* failed: exit 4/);
    expect(webhook.events).toEqual([
      expect.objectContaining({ event: "deployed", stack: stack.name, commit, previous: commit }),
    ]);
    expect(stack.state()).not.toContain("pa#ss$word");
  });

  const front = async (stale: string) => {
    const server = createServer(async ({ url }, response) => {
      const answer = await fetch(`${stack.url}${url}`);
      const { "content-length": _, ...headers } = Object.fromEntries(answer.headers);
      response.writeHead(answer.status, headers);
      response.end(url === "/assets/app.css" ? stale : Buffer.from(await answer.arrayBuffer()));
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const { port } = server.address() as { port: number };
    await stack.configure({ publicUrl: `http://127.0.0.1:${port}` });
    return async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await stack.configure({ publicUrl: stack.url });
    };
  };

  const faults: (Named & {
    service: string;
    found: RegExp;
    inject: () => Promise<() => Promise<unknown>>;
  })[] = [
    {
      into: "running",
      fault: "a file of another image is served at the public address, without a version path",
      link: "served",
      service: "site",
      found: /assets\/app\.css is not the file of the image; .* found other bytes/,
      inject: () => front("p { color: old; }"),
    },
    {
      into: "running",
      fault: "the edge leads to a container that a service without a version path had before",
      link: "served",
      service: "site",
      found: /is not answered by this deploy's container; .* found site-old:8080/,
      inject: async () => {
        const [edge = ""] = await containers("edge");
        const [site = ""] = await containers("site");
        const format = "{{.Image}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
        const { stdout } = await execa("docker", ["inspect", "--format", format, site]);
        const [image = "", network = ""] = stdout.split(" ");
        const names = ["--network-alias", "site-old", "--network-alias", "api.1-old"];
        const old = await execa("docker", ["run", "--detach", "--network", network, ...names, image]);
        const write = (text: string) =>
          execa("docker", [
            ...["exec", edge, "sh", "-c"],
            `for f in /edge/release-*; do printf '%s' '${text}' > $f.new && mv $f.new $f; done`,
          ]);
        const release = await execa("docker", ["exec", edge, "sh", "-c", "cat /edge/release-*"]);
        await write("old");
        return async () => {
          await write(release.stdout);
          await execa("docker", ["rm", "--force", old.stdout]);
        };
      },
    },
    {
      into: "running",
      fault: "one of two replicas has other code",
      link: "container",
      service: "api",
      found: /1 others: changed \/app\/src\/server\.py/,
      inject: async () => {
        const [, second = ""] = await containers("api");
        const change = "cp -a /app/src/server.py /tmp/kept && echo '# old' >> /app/src/server.py";
        await execa("docker", ["exec", "--user", "0", second, "sh", "-c", change]);
        return async () => {
          const { stderr } = await stack.verify();
          const [, remedy = "false"] = /Remove the container \((docker rm -f [^)]+)\)/.exec(stderr) ?? [];
          await execa("sh", ["-euc", remedy]);
          await good();
        };
      },
    },
    {
      into: "running",
      fault: "a schedule is given to an earlier release",
      link: "container",
      service: "jobs",
      found: /does not run the jobs of the served release; .* found jobs of release 1234567-old/,
      inject: async () => {
        const [jobs = ""] = await containers("jobs");
        const write = `echo 1234567-old > ${SERVED_FILE}`;
        await execa("docker", ["exec", "--user", "0", jobs, "sh", "-c", write]);
        return good;
      },
    },
    {
      into: "running",
      fault: "a container goes on with the jobs of an earlier release",
      link: "container",
      service: "jobs",
      found: /does not belong to the served release/,
      inject: async () => {
        const [jobs = ""] = await containers("jobs");
        const { stdout } = await execa("docker", ["inspect", "--format", "{{.Image}}", jobs]);
        const labels = [`watch-party.stack=${stack.name}`, "watch-party.service=jobs"];
        const flags = labels.flatMap((label) => ["--label", label]);
        const loop = "while :; do python3 job.py; sleep 60; done";
        await execa("docker", ["run", "--detach", ...flags, stdout, "sh", "-c", loop]);
        return async () => {
          const { stderr } = await stack.verify();
          const [, remedy = "false"] =
            /Stop it: (docker update .*)\. The next deploy removes it/.exec(stderr) ?? [];
          await execa("sh", ["-euc", remedy]);
        };
      },
    },
  ];

  it.each(faults)("is refused when $fault, and proven again without it", (fault) =>
    inMatrix(fault, async (row) => {
      const undo = await fault.inject();
      try {
        const { status, stderr } = await timed(row, () => stack.verify());
        expect(stderr).toMatch(new RegExp(`^error: freshness: ${fault.link} of ${fault.service}: `));
        expect(stderr).toMatch(fault.found);
        expect(status).toBe(1);
        row.detected = true;
      } finally {
        await undo();
      }
      row.twin = false;
      const twin = await stack.verify("--json");
      expect(twin.stderr).toBe("");
      expect(JSON.parse(twin.stdout)).toMatchObject(CERTIFICATE);
      row.twin = true;
    }),
  );

  it("tells the webhooks when what is served has drifted", () => {
    expect(webhook.events).toContainEqual(
      expect.objectContaining({
        event: "drifted",
        error: expect.stringContaining("freshness: served of site"),
      }),
    );
  });

  it("stops the deploy when a hook before it fails, and runs the hook of a failure", async () => {
    const before = await text("/assets/app.css");
    await stack.configure({ hooks: { ...HOOKS, beforeBuild: "echo not today; exit 3" } });
    await app.commit({ "site/public/assets/app.css": "p { color: later; }\n" });
    const refused = await stack.command("up");
    expect(refused.status).toBe(1);
    expect(refused.stdout).toContain("hook beforeBuild: not today");
    expect(refused.stderr).toMatch(/error: hook beforeBuild: .* failed: exit 3; \w{12} is not deployed/);
    expect(refused.stderr).toMatch(/hook afterFailure: failed: hook beforeBuild: .* failed: exit 3/);
    expect(webhook.events.at(-1)).toMatchObject({ event: "refused", stack: stack.name });
    expect(await text("/assets/app.css")).toBe(before);
    await stack.configure({ hooks: { beforeSwitch: "sleep 2; exit 5" } });
    const [serving = ""] = await containers("jobs");
    const others = await containers("jobs", "--all");
    const { ok, said } = await stack.up();
    expect(said).toMatch(/hook beforeSwitch: .* failed: exit 5; \w{12} is not deployed/);
    expect(ok).toBe(false);
    expect(await text("/assets/app.css")).toBe(before);
    // The refused release had a container for two of its minutes, and no job; those of the served one go on.
    const refusedJobs = (await containers("jobs", "--all")).filter((id) => !others.includes(id));
    expect(refusedJobs).toHaveLength(1);
    for (const id of refusedJobs) expect((await execa("docker", ["logs", id])).stdout).toBe("");
    const { began } = await jobRun();
    expect((await jobRun(began)).served).toBe(true);
    expect(await containers("jobs")).toEqual([serving]);
    await stack.configure({ hooks: {} });
  });

  it("is refused when the commit does not reach the copy of a service without a version path", () => {
    const fault = "a service without a version path and without a step that depends on the commit";
    return inMatrix({ into: "deploy", fault, link: "dockerfile" }, async (row) => {
      const before = await text("/assets/app.css");
      const dockerfile = app.read("site/Dockerfile");
      await app.commit({
        "site/Dockerfile": dockerfile.replace('RUN test -n "$GIT_COMMIT_HASH"\n', ""),
        "site/public/assets/app.css": "p { color: two; }\n",
      });
      const refused = await timed(row, () => stack.up());
      expect(refused.said).toContain(
        "freshness: dockerfile of site: site/Dockerfile:3: no commit reaches COPY",
      );
      expect(refused.ok).toBe(false);
      expect(await text("/assets/app.css")).toBe(before);
      row.detected = true;
      row.twin = false;
      await app.commit({ "site/Dockerfile": dockerfile });
      await good();
      expect(await text("/assets/app.css")).toBe("p { color: two; }\n");
      row.twin = true;
    });
  });
});
