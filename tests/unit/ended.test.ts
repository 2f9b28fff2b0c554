import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { startsRelease } from "../../cli/refusal";
import { isUnderWay } from "../../cli/underWay";
import { isCrash } from "../../engine/swarm";
import { FreshnessError } from "../../freshness/chain";
import { endedTasksVerdict, endedVerdict, hasEnded } from "../../freshness/container/ended";
import { type Labelled, straysOf, straysVerdict } from "../../freshness/container/strays";
import { settleSecondsOf } from "../../proof/settle";

const worker = { name: "worker", memoryMb: 64 };

describe("a container that exited by itself", () => {
  it.each([
    [{ times: 0 }, false],
    [{ times: 0, exitCode: 143 }, false],
    [{ times: 1 }, true],
    [{ times: 0, oomKilled: true }, true],
    [{ times: 0, restarting: true }, true],
  ])("is recognised in %j: %s", (restarts, ended) => expect(hasEnded(restarts)).toBe(ended));

  it.each([
    [{ times: 1, exitCode: 1 }, "it ended by itself 1 time, with exit code 1 (not OOM-killed)"],
    [
      { times: 3, exitCode: 137, oomKilled: true },
      "it ended by itself 3 times, with exit code 137 (OOM-killed: its limit is 64 MiB)",
    ],
    [{ times: 9 }, "it ended by itself 9 times, with an unknown exit code (not OOM-killed)"],
  ])("is described by %j", (ending, found) => {
    expect(endedVerdict(worker, "worker-1", { ...ending, log: [] })).toMatchObject({
      link: "container",
      service: "worker",
      status: "broken",
      found,
    });
  });

  it("is another thing than a program whose child the kernel killed", () => {
    const ending = { times: 0, oomKilled: true, log: ["a worker was killed"] };
    const { wrong, found, remedy } = endedVerdict(worker, "worker-1", { ...ending, childKills: 3 });
    expect(wrong).toBe("the container runs out of memory");
    expect(found).toBe("the kernel killed them 3 times, while the program went on");
    expect(remedy).toContain("raise watch-party:services.worker.memoryMb");
  });

  it("has the log command, the remedy, and the last lines of the log", () => {
    const ending = { times: 2, exitCode: 1, log: ["cannot reach", "the queue"] };
    expect(new FreshnessError(endedVerdict(worker, "worker-1", ending)).message).toMatch(
      /^freshness: container of worker: .*; expected .*, found .*\. See "docker logs worker-1", .*\.\nThe last lines of its log:\n {2}cannot reach\n {2}the queue$/,
    );
    const silent = endedVerdict(worker, "worker-1", { ...ending, oomKilled: true, log: [] });
    expect(new FreshnessError(silent).message).toMatch(
      /raise watch-party:services\.worker\.memoryMb.*\nIts log is empty\.$/,
    );
  });

  it.each([
    [{ exitCode: 0, log: ["bye"] }, /^The program ended without an error.*services\.worker\.command/],
    [
      { exitCode: 100, log: ["s6-overlay-suexec: fatal: can only run as pid 1"] },
      /services\.worker\.init to false/,
    ],
    [{ exitCode: 1, log: ["not running as PID 1"] }, /services\.worker\.init to false/],
    [{ exitCode: 1, log: ["worker process 12 failed"] }, /fix what ends the program/],
  ])("names the key that helps: %j", (ending, remedy) => {
    expect(endedVerdict(worker, "worker-1", { times: 1, ...ending }).remedy).toMatch(remedy);
  });

  it("is a task on a Swarm, except one that its engine may have ended", () => {
    const task = { service: "s", error: "task: non-zero exit (1)" };
    const codes = [undefined, 0, 1, 137, 139, 143];
    expect(codes.filter((exitCode) => isCrash({ ...task, exitCode }))).toEqual([1, 139]);
    expect(endedTasksVerdict(worker, 2, { ...task, exitCode: 1, log: [] }).found).toBe(
      "2 tasks ended, the last with exit code 1 (task: non-zero exit (1))",
    );
  });

  it("is watched as long as the key says, otherwise by the service's kind", () => {
    expect([{}, { port: 80 }].map((service) => settleSecondsOf(service, {}))).toEqual([15, 5]);
    expect(settleSecondsOf({}, { settleSeconds: 0 })).toBe(0);
  });
});

describe("the running containers of a stack", () => {
  const of = (id: string, service: string, more: Partial<Labelled> = {}): Labelled => ({
    id,
    names: [`${service}-${id}`],
    ...more,
    labels: { "watch-party.stack": "dev", "watch-party.service": service, ...more.labels },
  });
  const running = [
    of("edge", "edge"),
    of("served", "worker"),
    of("led", "worker", { names: ["worker-abc1234-00000000"] }),
    of("refused", "worker"),
    of("renamed", "jobs"),
    of("once", "worker-release", { labels: { "watch-party.release-command": "worker" } }),
    of("press", "press-release"),
    of("probe", "", { labels: { "watch-party.owner": "host:1" } }),
  ];

  it("are strays outside the serving release, in any service", () => {
    const strays = straysOf(running, { known: ["served"], led: "abc1234-00000000" });
    expect(strays.map(({ id }) => id)).toEqual(["refused", "renamed", "press"]);
  });

  it("break the link container as strays, with the stop command, unless excused", () => {
    const stray = { name: "worker-1", service: "worker", stop: "docker stop worker-1" };
    expect(straysVerdict([])).toMatchObject({ service: "every service", status: "proven" });
    expect(straysVerdict([stray])).toMatchObject({
      service: "worker",
      status: "broken",
      found: "worker-1",
      remedy: "Stop it: docker stop worker-1. The next deploy removes it.",
    });
    expect(straysVerdict([stray], "a deploy is under way")).toMatchObject({
      status: "not checked",
      found: "worker-1 (a deploy is under way)",
    });
  });

  it("are stopped after a failure if the deploy had started containers", () => {
    const change = { op: "replace", type: "docker Container", name: "web" } as const;
    expect(startsRelease([change])).toBe(true);
    expect(startsRelease([{ ...change, type: "docker Service" }])).toBe(true);
    expect(startsRelease([])).toBe(false);
    expect(startsRelease([{ ...change, name: "edge" }])).toBe(false);
    expect(startsRelease([{ ...change, type: "docker Image" }])).toBe(false);
  });
});

describe("a deploy in progress", () => {
  it("is detected by a lock in a folder whose process runs, but not for other backends", () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-locks-"));
    const backend = `file://${folder}`;
    const locks = join(folder, ".pulumi", "locks", "organization", "watch-party", "dev");
    const lock = { pid: process.pid, username: "u", hostname: hostname(), timestamp: new Date() };
    expect(isUnderWay("dev", backend)).toBe(false);
    mkdirSync(locks, { recursive: true });
    expect(isUnderWay("dev", backend)).toBe(false);
    writeFileSync(join(locks, "1.json"), JSON.stringify(lock));
    expect(isUnderWay("organization/watch-party/dev", backend)).toBe(true);
    writeFileSync(join(locks, "1.json"), JSON.stringify({ ...lock, pid: 2 ** 22 + 1 }));
    expect(isUnderWay("dev", backend)).toBe(false);
    expect(isUnderWay("dev", "s3://bucket")).toBeUndefined();
    rmSync(folder, { recursive: true });
  });
});
