import { hostname } from "node:os";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import { exists } from "../engine/orphans";
import { commandLine } from "../freshness/project";

/** The holder of a stack's lock, as the CLI reports it for a file backend (local, S3, …). */
export interface Holder {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  readonly since: string;
}

/** Parses the holders from the CLI's output for a locked stack. */
export function lockHolders(said: string): Holder[] {
  if (!/stack is currently locked by/.test(said)) return [];
  return [...said.matchAll(/created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/g)].flatMap(
    ([, user, host, pid, since]) => (user && host && since ? [{ user, host, pid: Number(pid), since }] : []),
  );
}

/**
 * Whether the process that left a lock has ended. That is known only for processes of this machine.
 *
 * @param backend location of the state: with a shared one the lock may come from another host of the same name
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
 * Whether a process of this machine may hold a lock. An ended process is listed until its parent has read its status.
 * PIDs are reused: a process that started after the lock is another one. A thread ID is not a PID.
 */
export function holds({ pid, since }: Pick<Holder, "pid" | "since">): boolean {
  if (!exists(pid)) return false;
  const ask = ["-o", "stat=", "-o", "lstart=", "-p", String(pid)];
  const { failed, exitCode, stdout } = execa.sync("ps", ask, {
    env: childEnvironment("ssh", { LC_ALL: "C" }),
    extendEnv: false,
    reject: false,
  });
  // Without ps the PID decides.
  if (failed && exitCode === undefined) return true;
  const [, state, start = ""] = /^\s*(\S+)\s+(.*)$/.exec(stdout) ?? [];
  if (state === undefined || state.startsWith("Z")) return false;
  const began = Date.parse(start);
  // Both have a precision of one second, and the start uses a clock that may be slightly off.
  return Number.isNaN(began) || began <= Date.parse(since) + 3_000;
}

/** The error for a lock that another deploy holds or may hold. */
export function lockedBy(stack: string, holders: readonly Holder[]): string {
  const all = holders.map(({ user, host, pid, since }) => `${user}@${host} (pid ${pid}) since ${since}`);
  return (
    `stack ${stack} is being deployed by ${all.join(" and ")}; nothing was changed. Wait until that has ended; ` +
    `if it was killed, run "${commandLine(`pulumi cancel --yes --stack ${stack}`)}" and deploy again`
  );
}
