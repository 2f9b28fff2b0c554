import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { offsetsOf, parseCron } from "../../freshness/container/cron";
import {
  parseRuns,
  runsText,
  SCHEDULE_FOLDER,
  scheduledCommand,
  scheduleVerdict,
  shellVerdict,
} from "../../freshness/container/schedule";

describe("a schedule", () => {
  it.each([
    ["*/15 0 1,15 * 1-5", { minutes: [0, 15, 30, 45], hours: [0], days: [1, 15], weekdays: [1, 2, 3, 4, 5] }],
    ["5/20 8-10/2 * jan,DEC sun,7", { minutes: [5, 25, 45], hours: [8, 10], months: [1, 12], weekdays: [0] }],
    ["07 03 * * *", { minutes: [7], hours: [3], eitherDay: false }],
    ["0 0 1 * mon", { days: [1], weekdays: [1], eitherDay: true }],
    ["0 0 */2 * mon", { eitherDay: false }],
    ["@daily", { minutes: [0], hours: [0] }],
    ["0 */24 * * *", { minutes: [0], hours: [0] }],
    ["@Weekly", { weekdays: [0] }],
  ])("is read as crontab(5) reads it: %s", (text, expected) => {
    expect(parseCron(text)).toMatchObject(expected);
  });

  it.each([
    ["* * * *", "five fields"],
    ["* * * * * *", "five fields"],
    ["@reboot", "five fields"],
    ["60 * * * *", 'a minute from 0 to 59, not "60"'],
    ["* 24 * * *", "an hour"],
    ["* * 0 * *", "a day of the month from 1 to 31"],
    ["* * * 13 *", "a month from 1 to 12"],
    ["* * * * 8", "a day of the week from 0 to 7"],
    ["*/0 * * * *", "a minute"],
    ["*/90 * * * *", "a minute"],
    ["9-3 * * * *", "a minute"],
    ["1-2-3 * * * *", "a minute"],
    ["1,,2 * * * *", "a minute"],
    ["a * * * *", "a minute"],
    ["*-5 * * * *", "a minute"],
  ])("is refused with the field that is wrong: %s", (text, words) => {
    expect(() => parseCron(text)).toThrow(words.replace("an hour", "a hour"));
  });
});

describe("a time zone", () => {
  it.each(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])(
    "has the offsets that the clocks of %s have",
    (timeZone) => {
      const offsets = offsetsOf(timeZone);
      const clock = new Intl.DateTimeFormat("en-US", {
        timeZone,
        hour: "numeric",
        minute: "numeric",
        hourCycle: "h23",
      });
      for (let hour = 0; hour < 24 * 400; hour += 11) {
        const time = Date.UTC(2026, 0) / 1000 + hour * 3600;
        const [, offset] = offsets.filter(([since]) => since <= time).at(-1) ?? [0, 0];
        const local = new Date((time + offset) * 1000).toISOString().slice(11, 16);
        expect(local).toBe(clock.format(time * 1000));
      }
    },
  );
});

describe("the loop of a schedule", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-schedule-"));
    mkdirSync(join(folder, "bin"));
    program("date", 'read -r now < "$CLOCK"; echo "$now"');
    // Time passes while something sleeps. The end of the test stops the loop as an engine does.
    program(
      "sleep",
      'read -r now < "$CLOCK"; now=$((now + $1)); echo "$now" > "$CLOCK"; [ "$now" -lt "$END" ] || kill -s TERM "$PPID"',
    );
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const program = (name: string, text: string) => {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
  };
  const run = async (of: {
    schedule: string;
    timeZone?: string;
    from: string;
    minutes: number;
    job?: string;
    served?: string;
    signal?: string;
  }) => {
    const { schedule, timeZone, from, minutes, served = "release", signal } = of;
    const job = of.job ?? 'read -r now < "$CLOCK"; echo "$now"';
    const now = Date.parse(from) / 1000;
    writeFileSync(join(folder, "clock"), `${now}\n`);
    if (served !== "") writeFileSync(join(folder, "served"), `${served}\n`);
    const command = scheduledCommand({ schedule, timeZone, command: [job], stopSignal: signal }, "release", {
      entrypoint: ["sh", "-c"],
      command: ["never"],
    }).map((word) => word.replaceAll(SCHEDULE_FOLDER, folder));
    const env = {
      PATH: `${join(folder, "bin")}:${process.env.PATH}`,
      CLOCK: join(folder, "clock"),
      END: String(now + minutes * 60),
    };
    const { stdout, stderr, exitCode } = await execa("sh", command, { env, reject: false });
    const times = stdout
      .split("\n")
      .filter((line) => /^\d+$/.test(line))
      .map((line) => new Date(Number(line) * 1000).toISOString().slice(0, 16));
    return { times, stdout, stderr, exitCode };
  };
  const runs = () => parseRuns(readFileSync(join(folder, "last"), "utf8"));

  it.each([
    [
      "each ten minutes",
      "*/10 * * * *",
      undefined,
      "2027-01-01T00:00:30Z",
      25,
      ["2027-01-01T00:10", "2027-01-01T00:20"],
    ],
    ["on the last of February", "1 0 29 2 *", undefined, "2028-02-28T23:58:00Z", 9, ["2028-02-29T00:01"]],
    ["not on the first of March", "1 0 29 2 *", undefined, "2027-02-28T23:58:00Z", 9, []],
    ["on a Sunday or a first", "0 0 1 * 0", undefined, "2027-01-02T23:58:00Z", 5, ["2027-01-03T00:00"]],
    ["on a first that is no Sunday", "0 0 1 * 0", undefined, "2027-01-31T23:58:00Z", 5, ["2027-02-01T00:00"]],
    ["on no other day", "0 0 1 * 0", undefined, "2027-02-01T23:58:00Z", 5, []],
    [
      "on the last day of the year",
      "59 23 31 12 fri",
      undefined,
      "2027-12-31T23:58:00Z",
      5,
      ["2027-12-31T23:59"],
    ],
    [
      "at three in Berlin, in summer",
      "0 3 * * *",
      "Europe/Berlin",
      "2027-07-01T00:58:00Z",
      5,
      ["2027-07-01T01:00"],
    ],
    [
      "at three in Berlin, in winter",
      "0 3 * * *",
      "Europe/Berlin",
      "2027-12-01T01:58:00Z",
      5,
      ["2027-12-01T02:00"],
    ],
    [
      "at midnight in New York",
      "0 0 * * mon",
      "America/New_York",
      "2027-03-15T03:58:00Z",
      5,
      ["2027-03-15T04:00"],
    ],
    ["at no time that spring skips", "30 2 * * *", "Europe/Berlin", "2027-03-28T00:55:00Z", 40, []],
  ])("runs the job %s", async (_, schedule, timeZone, from, minutes, expected) => {
    expect((await run({ schedule, timeZone, from, minutes })).times).toEqual(expected);
  });

  it("runs nothing of a release that is not served, or before one is", async () => {
    const of = { schedule: "* * * * *", from: "2027-01-01T00:00:00Z", minutes: 5 };
    expect((await run({ ...of, served: "another" })).times).toEqual([]);
    rmSync(join(folder, "served"));
    const { times, stderr } = await run({ ...of, served: "" });
    expect({ times, stderr }).toEqual({ times: [], stderr: "" });
  });

  it("keeps the last exit code, and goes on after a failure", async () => {
    const of = { schedule: "* * * * *", from: "2027-01-01T00:00:00Z", minutes: 4 };
    const { stderr } = await run({ ...of, job: "exit 3" });
    expect(stderr.split("\n")).toEqual(Array(3).fill("schedule: exit 3 after 0 s"));
    const last = { release: "release", began: Date.UTC(2027, 0, 1, 0, 3), end: 3, seconds: 0 };
    expect(runs()).toEqual({ last });
    expect(runsText(runs())).toBe("2027-01-01 00:03:00Z exit 3 after 0 s");
  });

  it("skips the times that a run outlasts", async () => {
    const of = { schedule: "* * * * *", from: "2027-01-01T00:00:00Z", minutes: 9 };
    const job = 'read -r now < "$CLOCK"; echo "$now"; echo $((now + 150)) > "$CLOCK"';
    const { times } = await run({ ...of, job });
    expect(times).toEqual(["2027-01-01T00:01", "2027-01-01T00:04", "2027-01-01T00:07"]);
  });

  it.each([
    [
      "goes on after the clock was put right by a day",
      86_400,
      ["2027-01-02T00:01", "2027-01-01T00:02", "2027-01-01T00:03"],
    ],
    [
      "runs no time twice after the clock was put right by seconds",
      3,
      ["2027-01-02T00:01", "2027-01-02T00:02"],
    ],
  ])("%s", async (_, seconds, expected) => {
    const job = `read -r now < "$CLOCK"; echo "$now"; [ -e "$CLOCK.once" ] || echo $((now - ${seconds})) > "$CLOCK"; : > "$CLOCK.once"`;
    program(
      "sleep",
      'read -r now < "$CLOCK"; echo $((now + $1)) > "$CLOCK"; n=$(($(cat "$CLOCK.n" || echo 0) + 1)); echo "$n" > "$CLOCK.n"; [ "$n" -lt 5 ] || kill -s TERM "$PPID"',
    );
    const { times } = await run({ schedule: "* * * * *", from: "2027-01-02T00:00:00Z", minutes: 99, job });
    expect(times).toEqual(expected);
  });

  it.each([
    [undefined, "TERM", "TERM"],
    ["SIGUSR1", "USR1", "USR1"],
    ["SIGQUIT", "QUIT", "TERM"],
  ])("stops at %s, and waits for a running job", async (signal, sent, heard) => {
    const job = `trap 'echo cleaned up; exit 0' ${heard}; kill -s ${sent} "$PPID"; while :; do read -r _ < "$CLOCK"; done`;
    const of = { schedule: "* * * * *", from: "2027-01-01T00:00:00Z", minutes: 99, signal };
    const { stdout, exitCode } = await run({ ...of, job });
    expect({ stdout, exitCode }).toEqual({ stdout: "cleaned up", exitCode: 0 });
    expect(runs().last?.end).toBe("stopped");
  });

  it("ends with the reason if the image lacks a program", async () => {
    program("date", "exit 127");
    const { stderr, exitCode } = await run({ schedule: "@daily", from: "2027-01-01T00:00:00Z", minutes: 1 });
    expect(stderr).toContain("a schedule needs date and sleep in the image");
    expect(exitCode).toBe(127);
  });
});

it("a schedule is refused without a shell in the image, and accepted with one", () => {
  expect(shellVerdict("cleanup", false)).toMatchObject({
    status: "broken",
    remedy: expect.stringMatching(/^Build it from a base image with sh, date and sleep, or remove /),
  });
  expect(shellVerdict("cleanup", true).status).toBe("proven");
});

describe("the jobs of a schedule", () => {
  const service = { name: "cleanup", schedule: "@daily" };
  const of = { stack: "prod", release: "new" };

  it("are those of the served release, also if the last run failed", () => {
    const verdict = scheduleVerdict(service, of, {
      served: "new",
      runs: parseRuns("old 60 3 2\nnew 120 running\n"),
    });
    expect(verdict.status).toBe("proven");
    expect(verdict.found).toBe(
      "jobs of release new; schedule @daily (UTC), last run: 1970-01-01 00:01:00Z exit 3 after 2 s; running since 1970-01-01 00:02:00Z",
    );
  });

  it.each([
    ["old", "jobs of release old"],
    [undefined, "jobs of no release"],
  ])("break the chain if they are of release %s", (served, found) => {
    expect(scheduleVerdict(service, of, { served, runs: {} })).toMatchObject({
      status: "broken",
      found,
      remedy: "Give the schedule to the served release: npm run up -- --stack prod.",
    });
  });
});

it("a command has no empty argument, which the docker plugin does not pass", () => {
  const command = scheduledCommand({ schedule: "0 3 * * 1", command: ["true"] }, "abc", undefined);
  expect(command.filter((argument) => argument === "")).toEqual([]);
});
