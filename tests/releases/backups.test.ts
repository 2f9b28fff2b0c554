import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { DockerEngine } from "../../engine/docker";
import { type BackupKind, commandsOfKind, kindOf } from "../../freshness/container/backupCommands";
import { healthOf } from "../../freshness/container/products";
import { type BackupPlan, copyFailure, listBackups, restoreBackup, takeBackup } from "../../release/backup";
import { FULL } from "../support/matrix";

const FIXTURE = resolve(__dirname, "..", "fixtures", "mysql");
const PASSWORD = "not-for/any:log@4711";
const STACK = "backups";

describe("a backup", () => {
  const engine = new DockerEngine();
  const containers: string[] = [];
  let folder: string;

  const start = async (...args: string[]) => {
    const { stdout } = await execa("docker", ["run", "--detach", "--init", ...args]);
    containers.push(stdout);
    return stdout;
  };
  const inside = async (container: string, script: string) =>
    (await execa("docker", ["exec", container, "sh", "-euc", script])).stdout;
  const planOf = (
    name: string,
    commands: Pick<BackupPlan, "command" | "restore">,
    to = folder,
  ): BackupPlan => ({
    ...commands,
    name,
    to,
    keep: 2,
    beforeRelease: false,
  });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-backups-"));
  });
  afterAll(async () => {
    await execa("docker", ["rm", "--force", "--volumes", ...containers], { reject: false });
    rmSync(folder, { recursive: true, force: true });
  });

  it("leaves the last good one when the disk is full, and says so", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
    try {
      const container = await start("debian:bookworm-slim", "sleep", "600");
      const of = { stack: STACK, container, commit: "0123456789" };
      const plan = planOf(
        "db",
        { command: "head -c 300000 /dev/urandom", restore: "cat > /tmp/restored" },
        disk,
      );
      const good = await takeBackup(engine, plan, of);
      const before = readdirSync(join(disk, STACK, "db")).sort();
      const tooLarge = { ...plan, command: "head -c 3000000 /dev/urandom" };
      await expect(takeBackup(engine, tooLarge, of)).rejects.toThrow(
        /^backup of db: .*no space left on device/is,
      );
      expect(readdirSync(join(disk, STACK, "db")).sort()).toEqual(before);
      expect(await listBackups(engine, plan, STACK)).toEqual([good]);
      await restoreBackup(engine, plan, { ...of, id: good.id });
      expect(await inside(container, "wc -c < /tmp/restored")).toBe("300000");
    } finally {
      await execa("umount", [disk]);
    }
  });

  it("is copied away by a command, whose failure is reported and leaves the backup", async () => {
    const container = await start("debian:bookworm-slim", "sleep", "600");
    const of = { stack: STACK, container, commit: "0123456789" };
    const away = join(folder, "away.dump");
    const copy = `echo copying; cp "$BACKUP_FILE" ${away}; printf %s "$BACKUP_NAME" > ${away}.name`;
    const plan = { ...planOf("app", { command: "echo data", restore: "cat" }), copy };
    const taken = await takeBackup(engine, plan, of);
    expect(taken).toEqual({ name: "app", id: taken.id, bytes: 5 });
    expect(readFileSync(away, "utf8")).toBe("data\n");
    expect(readFileSync(`${away}.name`, "utf8")).toBe(`${STACK}/app/${taken.id}`);
    const failing = { ...plan, name: "other", copy: 'echo "no such bucket" >&2; exit 3' };
    const kept = await takeBackup(engine, failing, of);
    expect(copyFailure(kept)).toBe(
      `backup of other: ${kept.id} is complete, but backup.copy failed: exit 3: no such bucket`,
    );
    expect(await listBackups(engine, failing, STACK)).toEqual([{ name: "other", id: kept.id, bytes: 5 }]);
  });

  if (!FULL) return;

  describe("of a database from Debian's packages", () => {
    const image = (kind: BackupKind) => `watch-party-test/${kind}:10`;
    beforeAll(async () => {
      const tags = (["mysql", "mariadb"] as const).flatMap((kind) => ["--tag", image(kind)]);
      await execa("docker", ["build", ...tags, FIXTURE], { env: { DOCKER_BUILDKIT: "1" } });
    }, 300_000);
    afterAll(async () => {
      await execa("docker", ["image", "rm", "--force", image("mysql"), image("mariadb")], { reject: false });
    });

    it.each(["mysql", "mariadb"] as const)(
      "of %s is taken under writes and read back, row by row",
      async (kind) => {
        const prefix = kind.toUpperCase();
        const env = { [`${prefix}_ROOT_PASSWORD`]: PASSWORD, [`${prefix}_DATABASE`]: "app" };
        const flags = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
        const container = await start(...flags, image(kind));
        const accessory = { name: "db", image: image(kind), env: {}, secretEnv: env };
        expect(kindOf(accessory)).toBe(kind);
        const health = healthOf(accessory) ?? [];
        while ((await execa("docker", ["exec", container, ...health], { reject: false })).failed);
        const sql = (text: string) =>
          inside(
            container,
            `MYSQL_PWD='${PASSWORD}' mariadb --user root --batch --skip-column-names app -e "${text}"`,
          );
        // The server is ready before the file of its first start is done.
        while (
          await sql("select 1").then(
            () => false,
            () => true,
          )
        );
        await sql(
          "create table films (i int primary key) engine=innodb; insert into films select seq from seq_1_to_1000",
        );
        await sql("create table writes (i int auto_increment primary key, at text) engine=innodb");
        const writes = sql(
          "insert into writes (at) select now() from seq_1_to_20000; do sleep(1); insert into writes (at) select now() from seq_1_to_20000",
        );
        const plan = planOf(kind, commandsOfKind(kind));
        const of = { stack: STACK, container, commit: "0123456789" };
        const taken = await takeBackup(engine, plan, of);
        expect(taken.bytes).toBeGreaterThan(3_000);
        await writes;
        await sql("delete from films where i % 9 = 0; insert into films values (5000)");
        await restoreBackup(engine, plan, { ...of, id: taken.id });
        expect(await sql("select count(*), count(distinct i), max(i) from films")).toBe("1000\t1000\t1000");
        // All of a transaction that was under way, or nothing.
        expect(Number(await sql("select count(*) from writes")) % 20_000).toBe(0);
      },
      240_000,
    );

    it("of sqlite, by its own program, is taken under writes and read back, row by row", async () => {
      const container = await start("--entrypoint", "sleep", image("mariadb"), "600");
      const file = "/tmp/app's.db";
      const sql = (text: string) => inside(container, `sqlite3 -cmd '.timeout 9000' "${file}" "${text}"`);
      await sql("create table films (i); insert into films select value from generate_series(1, 1000)");
      const writes = inside(
        container,
        `i=0; while [ $i -lt 200 ]; do i=$((i + 1)); sqlite3 -cmd '.timeout 9000' "${file}" "insert into films values (-$i)"; done`,
      );
      const plan = planOf("app", commandsOfKind("sqlite", file));
      const of = { stack: STACK, container, commit: "0123456789" };
      const taken = await takeBackup(engine, plan, of);
      await writes;
      await sql("delete from films where i % 9 = 0");
      await restoreBackup(engine, plan, { ...of, id: taken.id });
      expect(await sql("select count(*), count(distinct i) from films where i > 0")).toBe("1000|1000");
    }, 120_000);
  });
});
