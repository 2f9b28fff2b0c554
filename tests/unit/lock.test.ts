import { hostname } from "node:os";
import { describe, expect, it } from "@jest/globals";
import execa from "execa";
import { holds, isStale, lockedBy, lockHolders } from "../../cli/locks";

const SAID = `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.
  file:///srv/.state/.pulumi/locks/organization/watch-party/dev/b5f1c0e7.json: created by deploy@ci-7 (pid 4711) at 2026-03-01T10:00:00Z
`;
const HOLDER = { user: "deploy", host: "ci-7", pid: 4711, since: "2026-03-01T10:00:00Z" };

describe("a stack's lock", () => {
  it("is read from the CLI's message", () => {
    expect(lockHolders(SAID)).toEqual([HOLDER]);
    expect(lockHolders("error: created by me@here (pid 1) at noon")).toEqual([]);
  });

  it.each([
    ["a dead process of this machine", { ...HOLDER, host: hostname() }, "file:///srv", false, true],
    ["a process of this machine that runs", { ...HOLDER, host: hostname() }, "file:///srv", true, false],
    ["a process of another machine", HOLDER, "file:///srv", false, false],
    ["a place that machines share", { ...HOLDER, host: hostname() }, "s3://state", false, false],
  ])("of %s may be stale: %#", (_, holder, backend, alive, stale) => {
    expect(isStale([holder], backend, () => alive)).toBe(stale);
  });

  it("belongs to a process that started before it, not to a reused PID", () => {
    const now = new Date().toISOString();
    expect(holds({ pid: process.pid, since: now })).toBe(true);
    expect(holds({ pid: process.pid, since: "2020-01-01T00:00:00Z" })).toBe(false);
    expect(holds({ pid: 2 ** 22 + 1, since: now })).toBe(false);
  });

  it("does not belong to a zombie process", async () => {
    // A shell's background child that ends, while the shell has become a program that never asks.
    const parent = execa("sh", ["-c", "sh -c 'echo $$' & exec sleep 30"], { buffer: false });
    const pid = Number(await new Promise((resolve) => parent.stdout!.once("data", resolve)));
    const since = new Date().toISOString();
    const state = async () => (await execa("ps", ["-o", "stat=", "-p", String(pid)])).stdout;
    while (!(await state()).startsWith("Z")) await new Promise((resume) => setTimeout(resume, 10));
    expect(holds({ pid, since })).toBe(false);
    parent.kill();
    await parent.catch(() => undefined);
  });

  it("is not stale if it does not exist", () => expect(isStale([], "file:///srv", () => false)).toBe(false));

  it("is explained with its holder, its time, and the command to continue", () => {
    const words = lockedBy("prod", [HOLDER]);
    expect(words).toContain("deploy@ci-7 (pid 4711) since 2026-03-01T10:00:00Z");
    expect(words).toContain("npm run -s pulumi -- cancel --yes --stack prod");
  });
});
