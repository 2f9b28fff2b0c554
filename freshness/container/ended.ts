import { type Break, broken } from "../chain";

/** How often a container has ended by itself since the engine started it, and how the last time. */
export interface Restarts {
  readonly times: number;
  /** Absent while it runs again: the engine then says 0, whatever it was. */
  readonly exitCode?: number;
  /** Whether the kernel killed it because its memory was used up. */
  readonly oomKilled?: boolean;
  /** Whether it has ended and the engine is about to start it again. */
  readonly restarting?: boolean;
}

/**
 * Whether a container exited by itself. The engine's counter starts at 0 after a restart of the engine or the machine.
 */
export function hasEnded({ times, oomKilled, restarting }: Restarts): boolean {
  return times > 0 || oomKilled === true || restarting === true;
}

/** What a container left behind when it ended. */
export interface Ending extends Restarts {
  /** The last lines of its log, without secrets. */
  readonly log: readonly string[];
}

/** A service, as far as its ending goes. */
interface Ended {
  readonly name: string;
  readonly memoryMb: number;
}

/** Judges a container that ended by itself: a program that crashes does not serve, however well it answers in between. */
export function endedVerdict({ name, memoryMb }: Ended, container: string, ending: Ending): Break {
  return broken({
    link: "container",
    service: name,
    wrong: "the container does not keep running",
    expected: "a container that runs without a restart",
    found: `it ${timesEnded(ending, memoryMb)}`,
    evidence: `docker inspect ${container}: RestartCount, State`,
    remedy: endedRemedy(name, container, ending),
    log: ending.log,
  });
}

/** A program that has to be process 1, such as an init, says so when docker-init is that already. */
const WANTS_PID_1 = /\b(pid|process)\s*(id\s*)?1\b/i;

function endedRemedy(name: string, container: string, { oomKilled, exitCode, log }: Ending): string {
  const see = `See "${logCommand(container)}"`;
  const key = `watch-party:services.${name}`;
  if (oomKilled)
    return `${see}, then make the program use less memory or raise ${key}.memoryMb, and deploy again.`;
  if (log.some((line) => WANTS_PID_1.test(line)))
    return `Process 1 of the container is docker-init. Set ${key}.init to false, so that the image's own program is, and deploy again.`;
  if (exitCode === 0)
    return `The program ended without an error, and a service has to keep running. Set ${key}.command to a program that does, or ${key}.target to a stage whose CMD does, and deploy again.`;
  return `${see}, fix what ends the program, then deploy again.`;
}

/** The same of a service on a Swarm, which puts a new task in the place of one that ended. */
export function endedTasksVerdict(
  { name }: Pick<Ended, "name">,
  times: number,
  last: { readonly exitCode?: number; readonly error: string; readonly log: readonly string[] },
): Break {
  const code = last.exitCode === undefined ? "" : `, the last with exit code ${last.exitCode}`;
  const error = last.error === "" ? "" : ` (${last.error})`;
  return broken({
    link: "container",
    service: name,
    wrong: "tasks of the service do not keep running",
    expected: "tasks that run without a restart",
    found: `${times} ${times === 1 ? "task" : "tasks"} ended${code}${error}`,
    evidence: "the Swarm's tasks of the service",
    remedy: 'See "docker service logs" on the manager, fix what ends the program, then deploy again.',
    log: last.log,
  });
}

/** `ended by itself 3 times, with exit code 1 (not OOM-killed)`. */
export function timesEnded({ times, exitCode, oomKilled }: Restarts, memoryMb?: number): string {
  const count = Math.max(1, times);
  const code = exitCode === undefined ? "an unknown exit code" : `exit code ${exitCode}`;
  const limit = memoryMb === undefined ? "" : `: its limit is ${memoryMb} MiB`;
  const oom = oomKilled ? `OOM-killed${limit}` : "not OOM-killed";
  return `ended by itself ${count} ${count === 1 ? "time" : "times"}, with ${code} (${oom})`;
}

/** The command that shows a container's log. */
export function logCommand(container: string): string {
  return `docker logs ${container}`;
}
