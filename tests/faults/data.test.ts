import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { inMatrix, type Row, timed } from "../support/matrix";
import { type Outcome, TestStack } from "../support/stack";

const UNHEALTHY = "backend/UNHEALTHY";
const DOCKERFILE = "backend/Dockerfile";

/** Faults that harm data: what is to be refused, and how the same passes. */
describe("a deploy of a service with data", () => {
  let app: TestApp;
  let stack: TestStack;
  let texts = 0;

  const volumes = { data: "/data" };

  beforeAll(async () => {
    app = await TestApp.create();
    stack = await TestStack.create({ source: app.folder });
    await configure({});
    good(await deploy());
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  const configure = (settings: Record<string, unknown>) =>
    stack.configure({
      source: app.folder,
      listen: `127.0.0.1:${stack.port}`,
      services: { backend: { startSeconds: 5, volumes, sharedVolume: true, ...settings } },
    });
  const deploy = async (files: Record<string, string | null> = {}) => {
    await app.commit({ "backend/message.txt": `hello ${texts++}\n`, ...files });
    return stack.up();
  };
  const good = (outcome: Outcome) => {
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  const served = async () => {
    const answer = await fetch(`${stack.url}/.freshness/backend`);
    return answer.ok ? ((await answer.json()) as { commit: string }).commit : `status ${answer.status}`;
  };
  const head = () => app.git("rev-parse", "HEAD");
  const inside = async (script: string) =>
    execa("docker", ["exec", "--user", "0", await stack.container("backend"), "sh", "-c", script]);
  const refused = async (row: Row, found: RegExp, files: Record<string, string | null> = {}) => {
    const before = await served();
    const outcome = await timed(row, () => deploy(files));
    expect(outcome.said).toMatch(/freshness: container of backend: .*expected .*, found /s);
    expect(outcome.said).toMatch(found);
    expect(outcome.ok).toBe(false);
    expect(await served()).toBe(before);
    row.detected = true;
    row.twin = false;
  };
  const passes = async (row: Row, files: Record<string, string | null> = {}) => {
    const outcome = good(await deploy(files));
    expect(await served()).toBe(await head());
    row.twin = true;
    return outcome;
  };
  /** All containers of the service: id → when it started and ended. */
  const lives = async () => {
    const filter = [
      "--filter",
      `label=watch-party.stack=${stack.name}`,
      "--filter",
      "label=watch-party.service=backend",
    ];
    const { stdout } = await execa("docker", ["ps", "--all", "--quiet", "--no-trunc", ...filter]);
    const ids = stdout.split("\n").filter((id) => id !== "");
    const { stdout: said } = await execa("docker", ["inspect", ...ids]);
    return (JSON.parse(said) as { Id: string; State: { Running: boolean; StartedAt: string } }[]).map(
      ({ Id: id, State: { Running: running, StartedAt: started } }) => ({ id, running, started }),
    );
  };

  it("is refused if a second server would run on a database's files, and passes with recreate", () =>
    inMatrix(
      {
        into: "deploy",
        fault: "a second server would run on the data files of a database",
        link: "container",
      },
      async (row) => {
        await inside("mkdir -p /data/pg/base && echo 17 > /data/pg/PG_VERSION");
        await refused(row, /PostgreSQL \(pg\/PG_VERSION in volume data\).*Set \S+\.strategy to recreate/s);
        await configure({ strategy: "recreate" });
        await passes(row);
        expect((await inside("cat /data/pg/PG_VERSION")).stdout).toBe("17");
        await inside("rm -r /data/pg");
      },
    ));

  it("stops the old container before the new one starts, and runs the release command between", async () => {
    const command = "date +%s%N > /data/between";
    await configure({ strategy: "recreate", releaseCommand: `chmod 666 /data/* 2> /dev/null; ${command}` });
    await inside("chmod 777 /data");
    const filter = ["label", "event", "event", "type"].map((name, at) => [
      "--filter",
      `${name}=${[`watch-party.stack=${stack.name}`, "start", "die", "container"][at]}`,
    ]);
    const events = execa("docker", ["events", "--format", "{{json .}}", ...filter.flat()]);
    let said = "";
    events.stdout?.on("data", (chunk) => {
      said += String(chunk);
    });
    try {
      good(await deploy());
    } finally {
      events.kill();
      await events.catch((cause: Error) => cause);
    }
    expect(await served()).toBe(await head());
    const seen = said
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { Action: string; Actor: { Attributes: Record<string, string> } })
      .map(({ Action, Actor }) => `${Action} ${Actor.Attributes["watch-party.service"]}`);
    const before = seen.slice(0, 4);
    expect(before).toEqual(["die backend", "start backend-release", "die backend-release", "start backend"]);
    expect(await lives()).toHaveLength(1);
    const { changes } = good(await stack.up({ refresh: true }));
    expect(Object.entries(changes).filter(([, op]) => op !== "refresh")).toEqual([]);
  });

  it("is taken back when the recreated container does not become healthy", () =>
    inMatrix(
      {
        into: "deploy",
        fault: "the successor of a stopped container does not become healthy",
        link: "container",
      },
      async (row) => {
        const [old] = await lives();
        await refused(row, /the new container does not become healthy/, { [UNHEALTHY]: "" });
        const now = await lives();
        expect(now.filter(({ running }) => running).map(({ id }) => id)).toEqual([old?.id]);
        expect((await stack.verify()).status).toBe(0);
        await passes(row, { [UNHEALTHY]: null });
        expect(await lives()).toHaveLength(1);
      },
    ));

  it("is finished by the next deploy after a kill between stop and start", async () => {
    const [old] = await lives();
    await configure({ strategy: "recreate", releaseCommand: "sleep 600" });
    await app.commit({ "backend/message.txt": `hello ${texts++}\n` });
    const { file, args, options } = stack.commandLine("up");
    const child = execa(file, args, { ...options, reject: false, detached: true });
    const stopped = async () => (await lives()).every(({ id, running }) => id !== old?.id || !running);
    while (!(await stopped())) await new Promise((resume) => setTimeout(resume, 50));
    // All of it at once, so that nothing can be taken back.
    process.kill(-child.pid!, "SIGKILL");
    await child;
    await configure({ strategy: "recreate" });
    const outcome = await stack.command("up");
    expect({ ...outcome, stdout: "" }).toMatchObject({ status: 0 });
    expect(await served()).toBe(await head());
    expect(await lives()).toHaveLength(1);
  });

  it("rolls back and clears caches with one server at a time", async () => {
    for (const command of [["rollback"], ["clear-caches", "all"]]) {
      const { status, stderr } = await stack.command(command[0]!, ...command.slice(1));
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
      const [only, ...others] = await lives();
      expect({ only: only?.running, others }).toEqual({ only: true, others: [] });
    }
  });

  it("is refused if its image is a database's, and passes with recreate", () =>
    inMatrix(
      {
        into: "deploy",
        fault: "a second server would run on the volume of a database's image",
        link: "container",
      },
      async (row) => {
        await configure({});
        await refused(row, /PostgreSQL \(variable PGDATA of its image\)/, {
          [DOCKERFILE]: `${app.read(DOCKERFILE)}ENV PGDATA=/data\n`,
        });
        await configure({ strategy: "recreate" });
        await passes(row);
      },
    ));

  it("warns of files outside volumes, is refused if the configuration demands it, and passes without them", () =>
    inMatrix(
      {
        into: "deploy",
        fault: "files that a container wrote outside volumes would be lost",
        link: "container",
      },
      async (row) => {
        const anonymous = app.read(DOCKERFILE).replace("ENV PGDATA=/data\n", "VOLUME /unnamed\n");
        await configure({ unsavedFiles: "refuse" });
        await passes(row, { [DOCKERFILE]: anonymous });
        await inside("mkdir -p /app/uploads && echo x > /app/uploads/photo && echo y > /unnamed/film");
        await refused(row, /2 files of container \S+ in no volume: \/app\/uploads\/photo, \/unnamed\/film/);
        await configure({ unsavedFiles: "warn" });
        const { said } = await passes(row);
        expect(said).toMatch(
          /2 files of container \S+ in no volume: \/app\/uploads\/photo.*Copy them out first/s,
        );
      },
    ));

  it("is refused if a service without a port fails its image's own check, and passes with more time", () =>
    inMatrix(
      {
        into: "deploy",
        fault: "the successor of a stopped container, without a port, is not healthy in time",
        link: "container",
      },
      async (row) => {
        const before = await served();
        const old = "test $(($(date +%s) - $(stat -c %Y /proc/1))) -ge 6";
        const check = `HEALTHCHECK --interval=1s --start-period=60s CMD ${old}\n`;
        await app.commit({ "backend/worker.Dockerfile": `${app.read(DOCKERFILE)}${check}` });
        const configured = (startSeconds: number) => {
          const worker = { context: "backend", dockerfile: "worker.Dockerfile", volumes: { jobs: "/jobs" } };
          const services = {
            backend: { startSeconds: 5, strategy: "recreate", volumes },
            worker: { ...worker, strategy: "recreate", startSeconds },
          };
          return stack.configure({ services });
        };
        await configured(2);
        const { ok, said } = await timed(row, () => stack.up());
        expect(said).toMatch(
          /freshness: container of worker: the new container does not become healthy; expected healthy within 2 s, found starting, .* raise watch-party:services\.worker\.startSeconds/s,
        );
        expect(ok).toBe(false);
        expect(await served()).toBe(before);
        row.detected = true;
        row.twin = false;
        await configured(30);
        good(await stack.up());
        expect(await served()).toBe(await head());
        row.twin = true;
      },
    ));
});
