import { hostname } from "node:os";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import { exists } from "../engine/orphans";

/** Who holds a stack's lock, as the CLI says it of a backend of files (local, S3, …). */
export interface Holder {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  readonly since: string;
}

/** Reads the holders from what the CLI prints where a stack is locked; none where it is not. */
export function lockHolders(said: string): Holder[] {
  if (!/stack is currently locked by/.test(said)) return [];
  return [...said.matchAll(/created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, user, host, pid, since]) => ({ user: user!, host: host!, pid: Number(pid), since: since! }),
  );
}

/**
 * Whether a lock was left by a process that is gone. That can be told of this machine's processes alone.
 *
 * @param backend where the state is: a lock in a place that machines share may be of a host that has this one's name
 */
export function isStale(
  holders: readonly Holder[],
  backend: string,
  isAlive: (holder: Holder) => boolean = holds,
): boolean {
  return (
    backend.startsWith("file://") &&
    holders.length > 0 &&
    holders.every((holder) => holder.host === hostname() && !isAlive(holder))
  );
}

/**
 * Whether a process of this machine runs that may hold a lock. One that has ended may still be listed, until its parent has
 * asked how; and numbers are given again: one that began after the lock was made is another process, and the number of a
 * thread is none of a process.
 */
export function holds({ pid, since }: Pick<Holder, "pid" | "since">): boolean {
  if (!exists(pid)) return false;
  const ask = ["-o", "stat=", "-o", "lstart=", "-p", String(pid)];
  const { failed, exitCode, stdout } = execa.sync("ps", ask, {
    env: childEnvironment("ssh", { LC_ALL: "C" }),
    extendEnv: false,
    reject: false,
  });
  // Where there is no ps, the number has to do.
  if (failed && exitCode === undefined) return true;
  const [, state, start = ""] = /^\s*(\S+)\s+(.*)$/.exec(stdout) ?? [];
  if (state === undefined || state.startsWith("Z")) return false;
  const began = Date.parse(start);
  // Both are told in whole seconds, and the beginning by a clock that may run a little apart.
  return Number.isNaN(began) || began <= Date.parse(since) + 3_000;
}

/** What there is to say of a lock that another deploy holds, or may hold. */
export function lockedBy(stack: string, holders: readonly Holder[]): string {
  const all = holders.map(({ user, host, pid, since }) => `${user}@${host} (pid ${pid}) since ${since}`);
  return (
    `stack ${stack} is being deployed by ${all.join(" and ")}; nothing was changed. Wait until that has ended; ` +
    `if it was killed, run "npm run -s pulumi -- cancel --yes --stack ${stack}" and deploy again`
  );
}
