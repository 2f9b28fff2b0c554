import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { withLock } from "../../toolchain/lock";

describe("withLock", () => {
  let folder: string;
  const leave = (owner: string) => {
    mkdirSync(join(folder, "lock"));
    writeFileSync(join(folder, "lock", "owner"), owner);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "toolchain-lock-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("lets one process work at a time, and names the one that the other waits for", async () => {
    const events: string[] = [];
    const work = (name: string) => async () => {
      events.push(`${name} begins`);
      await setTimeout(50);
      events.push(`${name} ends`);
    };
    const waited: string[] = [];
    await Promise.all([
      withLock(folder, work("a")),
      withLock(folder, work("b"), (owner) => waited.push(owner)),
    ]);
    expect(events).toEqual(["a begins", "a ends", "b begins", "b ends"]);
    expect(waited).toEqual([String(process.pid)]);
    expect(existsSync(join(folder, "lock"))).toBe(false);
  });

  it("releases the lock when the work fails", async () => {
    await expect(withLock(folder, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(withLock(folder, async () => "yes")).resolves.toBe("yes");
  });

  it("takes the lock over from a dead process", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    leave(`${hostname()} ${pid} x`);
    await expect(withLock(folder, async () => "mine")).resolves.toBe("mine");
  });

  it("takes the lock over from a remote owner after a long silence", async () => {
    leave("another-machine 1 x");
    const longAgo = new Date(Date.now() - 120_000);
    utimesSync(join(folder, "lock"), longAgo, longAgo);
    await expect(withLock(folder, async () => "mine")).resolves.toBe("mine");
  });

  it("does not take the lock over from a live process", async () => {
    leave(`${hostname()} ${process.pid} x`);
    const taken = withLock(folder, async () => "mine");
    expect(await Promise.race([taken, setTimeout(600, "waits")])).toBe("waits");
    rmSync(join(folder, "lock"), { recursive: true });
    await expect(taken).resolves.toBe("mine");
  });
});
