import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { type Outcome, TestStack } from "../support/stack";

const FIXTURE = resolve(__dirname, "..", "fixtures", "accessories");
/** Images that only the engine has; by their last name they are what they are. */
const POSTGRES = "watch-party-test/postgres:15";
const REDIS = "watch-party-test/redis:7";
const NEXT = "watch-party-test/redis:7-next";
const PASSWORD = "not-for/any:log@4711";

/** A database and a cache beside the app, through all that happens to them: one stack for it. */
describe("accessories", () => {
  let app: TestApp;
  let stack: TestStack;
  let backups: string;
  let texts = 0;

  const db = {
    image: POSTGRES,
    command: "postgres",
    secretEnv: { POSTGRES_PASSWORD: { env: "ACCESSORIES_TEST_PASSWORD" } },
    volumes: { db: "/var/lib/postgresql" },
  };
  const cache = {
    image: REDIS,
    command: "redis-server",
    volumes: { cache: "/data" },
    memoryMb: 128,
    stopSeconds: 3,
  };
  /** Fails where one of both does not take connections before the release does. */
  const CONNECT =
    'import os, socket; [socket.create_connection((h, p), 2) for h, p in (("db", 5432), ("cache", 6379))]';
  const configure = (of: { cache?: object; db?: object; releaseCommand?: string } = {}) => {
    const { releaseCommand = `python3 -c '${CONNECT}'` } = of;
    const services = { backend: { releaseCommand, startSeconds: 5 } };
    const accessories = {
      db: { ...db, backup: { to: backups, keep: 2, beforeRelease: false }, ...of.db },
      cache: { ...cache, backup: { to: backups, beforeRelease: false }, ...of.cache },
    };
    return stack.configure({ services, accessories });
  };
  const good = (outcome: Outcome) => {
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  const command = async (...words: [string, ...string[]]) => {
    const { status, stdout, stderr } = await stack.command(...words);
    return { status, stdout, stderr };
  };
  const commits = () => app.commit({ "backend/message.txt": `hello ${texts++}\n` });
  /** All containers of an accessory: what runs first. */
  const containers = async (name: string) => {
    const labels = [`watch-party.stack=${stack.name}`, `watch-party.accessory=${name}`];
    const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
    const { stdout } = await execa("docker", [
      "ps",
      "--all",
      "--no-trunc",
      "--format",
      "{{.ID}} {{.State}}",
      ...filters,
    ]);
    return stdout.split("\n").filter((line) => line !== "");
  };
  const running = async (name: string) =>
    (await containers(name))
      .filter((line) => line.endsWith(" running"))
      .map((line) => line.split(" ")[0] ?? "");
  const only = async (name: string) => {
    const [id = "", ...others] = await running(name);
    expect(others).toEqual([]);
    return id;
  };
  const redis = async (...words: string[]) =>
    (await execa("docker", ["exec", await only("cache"), "redis-cli", ...words])).stdout;
  const sql = async (text: string) => {
    const psql = [
      "psql",
      "--username",
      "postgres",
      "--quiet",
      "--tuples-only",
      "--no-align",
      "--command",
      text,
    ];
    return (await execa("docker", ["exec", await only("db"), ...psql])).stdout;
  };
  const served = async () => (await fetch(`${stack.url}/api/hello`)).text();

  beforeAll(async () => {
    backups = mkdtempSync(join(tmpdir(), "watch-party-backups-"));
    await execa("docker", ["build", "--tag", POSTGRES, "--tag", REDIS, FIXTURE], {
      env: { DOCKER_BUILDKIT: "1" },
    });
    await execa("docker", ["build", "--tag", NEXT, "-"], { input: `FROM ${REDIS}\nLABEL next=1\n` });
    process.env.ACCESSORIES_TEST_PASSWORD = PASSWORD;
    app = await TestApp.create();
    stack = await TestStack.create({ source: app.folder });
    await configure();
    const { said } = good(await stack.up());
    expect(said).toMatch(/accessories\.db\.image is \S+, a tag that may mean another image tomorrow/);
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    delete process.env.ACCESSORIES_TEST_PASSWORD;
    rmSync(backups, { recursive: true, force: true });
    await execa("docker", ["image", "rm", "--force", NEXT, REDIS, POSTGRES], { reject: false });
  });

  it("run before the first release, and are found by name and by URL", async () => {
    const { stdout } = await command("exec", "backend", "--", "sh", "-c", 'echo "$DB_URL $CACHE_URL"');
    const password = encodeURIComponent(PASSWORD);
    expect(stdout).toBe(`postgresql://postgres:${password}@db:5432/postgres redis://cache:6379`);
    const { status, stdout: told } = await command("status", "--json");
    const services = (JSON.parse(told) as { services: { service: string; state: string }[] }).services;
    expect(services.map(({ service, state }) => `${service} ${state}`)).toEqual([
      "backend running",
      "db running",
      "cache running",
      "edge running",
    ]);
    expect(status).toBe(0);
    expect(stack.state()).not.toContain(PASSWORD);
  });

  it("are left alone by a deploy that changes nothing, by a new commit, and by a tag that means another image", async () => {
    await redis("set", "key", "kept");
    await sql(
      "create table films (name text); insert into films select 'film ' || i from generate_series(1, 1000) i",
    );
    const before = [await only("db"), await only("cache")];
    await execa("docker", ["tag", NEXT, REDIS]);
    expect(good(await stack.up()).changes).toEqual({});
    await commits();
    const { changes } = good(await stack.up({ refresh: true }));
    // A refresh notes what the engine says of them besides; it replaces none.
    const changed = Object.entries(changes).filter(
      ([name, op]) => name.includes("-accessory") && op !== "refresh",
    );
    expect(changed).toEqual([]);
    expect([await only("db"), await only("cache")]).toEqual(before);
    expect((await command("leftovers")).stdout).toContain("nothing:");
  });

  it("are named by verify when one does not run or is not healthy, and the remedy mends it", async () => {
    await execa("docker", ["stop", await only("cache")]);
    const stopped = await stack.verify();
    expect(stopped.stderr).toMatch(
      /freshness: container of cache: the accessory does not run as it was deployed; expected .*, found a container that does not run\. Start it again: npm run up -- --stack/,
    );
    expect(stopped.status).toBe(1);
    good(await stack.up());
    expect(await redis("get", "key")).toBe("kept");
    // A server that takes no more connections runs all the same.
    await execa("docker", ["exec", await only("cache"), "sh", "-c", "kill -STOP $(pidof redis-server)"]);
    const sick = await stack.verify();
    expect(sick.stderr).toMatch(
      /freshness: container of cache: the accessory is not healthy; .*npm run restart -- cache --stack/,
    );
    expect((await command("restart", "cache")).stdout).toContain("cache was restarted and is healthy");
    expect((await stack.verify()).stderr).toBe("");
  });

  it("are replaced one after the other, with their data, as the preview says", async () => {
    const before = await only("cache");
    await configure({ cache: { image: NEXT } });
    const preview = await stack.preview();
    expect(preview.changes).toMatchObject({
      "Container cache-accessory": expect.stringContaining("replace"),
    });
    const filter = [
      "--filter",
      `label=watch-party.accessory=cache`,
      "--filter",
      "event=start",
      "--filter",
      "event=die",
    ];
    const events = execa("docker", ["events", "--format", "{{.Action}} {{.ID}}", ...filter]);
    let said = "";
    events.stdout?.on("data", (chunk) => {
      said += String(chunk);
    });
    good(await stack.up());
    events.kill();
    await events.catch((cause: Error) => cause);
    const after = await only("cache");
    expect(said.trim().split("\n")).toEqual([`die ${before}`, `start ${after}`]);
    expect(await containers("cache")).toHaveLength(1);
    expect(await redis("get", "key")).toBe("kept");
    expect((await stack.verify()).stderr).toBe("");
  });

  it("are taken back if the new one does not become healthy, and go on once that is corrected", async () => {
    const before = await only("cache");
    await configure({ cache: { image: NEXT, command: "redis-server --no-such-option 1", startSeconds: 3 } });
    const { ok, said } = await stack.up();
    expect(said).toMatch(
      /freshness: container of cache: the accessory's new container does not become healthy; expected healthy within 3 s, found .*; the old container was started again\. .*correct watch-party:accessories\.cache/s,
    );
    expect(ok).toBe(false);
    expect(await only("cache")).toBe(before);
    expect(await redis("get", "key")).toBe("kept");
    expect(await served()).toBe("hello 0\n");
    await configure({ cache: { image: NEXT, memoryMb: 160 } });
    good(await stack.up());
    expect(await containers("cache")).toHaveLength(1);
    expect(await redis("get", "key")).toBe("kept");
  });

  it("are one on their volume after a kill in the middle, which the next deploy finishes", async () => {
    const before = await only("cache");
    await configure({ cache: { image: NEXT, command: "sleep 600" } });
    const { file, args, options } = stack.commandLine("up");
    const child = execa(file, args, { ...options, reject: false, detached: true });
    while (
      !(await containers("cache")).some((line) => !line.startsWith(before) && line.endsWith(" running"))
    ) {
      if (child.exitCode !== null) throw new Error((await child).stderr);
      await new Promise((resume) => setTimeout(resume, 50));
    }
    expect(await running("cache")).not.toContain(before);
    // All of it at once, so that nothing can be taken back.
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await child;
    await configure({ cache: { image: NEXT } });
    const { status, stderr } = await command("up");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(await containers("cache")).toHaveLength(1);
    expect(await redis("get", "key")).toBe("kept");
  }, 400_000);

  it("are backed up under writes and read back, row by row", async () => {
    expect((await command("backup", "db")).stdout).toMatch(/^db \d{8}T\d{6}Z-[0-9a-f]{7} \d+ bytes$/);
    await sql("delete from films where name like '%9%'; insert into films values ('too new')");
    const writes = sql(
      "do $$ begin for i in 1..200 loop insert into films values ('w'); commit; end loop; end $$",
    );
    const taken = await command("backup", "db", "--json");
    await writes;
    expect(JSON.parse(taken.stdout)).toEqual([expect.objectContaining({ name: "db" })]);
    const [newest, oldest] = (await command("backups", "db")).stdout
      .split("\n")
      .map((line) => line.split(" ")[1]);
    const refused = await command("restore", "db", "--from", String(oldest));
    expect(refused.stderr).toContain("restore writes over the data of db; say so with --yes");
    expect(refused.status).toBe(2);
    const restored = await command("restore", "db", "--from", String(oldest), "--yes");
    expect({ ...restored, stdout: "" }).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(await sql("select count(*), count(distinct name) from films")).toBe("1000|1000");
    expect(newest).not.toBe(oldest);
    await redis("save");
    expect((await command("backup", "cache")).status).toBe(0);
    await redis("set", "key", "lost");
    expect((await command("restore", "cache", "--no-backup", "--yes")).status).toBe(0);
    expect(await redis("get", "key")).toBe("kept");
  });

  it("keep the backups that there are where a new one fails, which a release command does not outrun", async () => {
    const folder = join(backups, stack.name, "db");
    const there = readdirSync(folder).sort();
    await configure({
      db: { backup: { command: "head -c 1000 /dev/zero; exit 3", restore: "cat", to: backups } },
    });
    const { status, stderr } = await command("backup", "db");
    expect(stderr).toContain("error: backup of db: ");
    expect(status).toBe(1);
    expect(readdirSync(folder).sort()).toEqual(there);
    const before = await served();
    await commits();
    const refused = await stack.up();
    expect(refused.said).toContain("backup of db: ");
    expect(refused.ok).toBe(false);
    expect(await served()).toBe(before);
    await configure({ cache: { image: NEXT }, db: { backup: { to: backups } } });
    const { said } = good(await stack.up());
    expect(said).toMatch(/backup of db before the release command: \d{8}T\d{6}Z-[0-9a-f]{7}, \d+ bytes/);
  });
});
