import { type Break, broken } from "../chain";
import { NAMESPACE } from "../project";

/** How often a container ended by itself since the engine started it, and how it ended last. */
export interface Restarts {
  readonly times: number;
  /** Absent while the container runs again: the engine then always reports 0. */
  readonly exitCode?: number;
  /** Whether the kernel killed it because it ran out of memory. */
  readonly oomKilled?: boolean;
  /** Whether it ended and the engine is about to restart it. */
  readonly restarting?: boolean;
}

/** Whether a container ended by itself. The engine's counter starts at 0 after the engine or the machine restarts. */
export function hasEnded({ times, oomKilled, restarting }: Restarts): boolean {
  return times > 0 || oomKilled === true || restarting === true;
}

/** Whether only a job of a schedule ended, while the container waits for the next time. `status` shows that. */
export function isOfJob(schedule: string | undefined, { times, restarting, exitCode }: Restarts): boolean {
  return schedule !== undefined && times === 0 && !restarting && exitCode === undefined;
}

/** How a container ended, and its log. */
export interface Ending extends Restarts {
  /** How often the kernel killed a process of a container that itself never ended; absent otherwise. */
  readonly childKills?: number;
  /** Last lines of its log, without secrets. */
  readonly log: readonly string[];
}

interface Ended {
  readonly name: string;
  readonly memoryMb: number;
}

/** Judges a container that ended by itself. A program that crashes breaks the link even if it answers between crashes. */
export function endedVerdict({ name, memoryMb }: Ended, container: string, ending: Ending): Break {
  const { childKills, log } = ending;
  if (childKills !== undefined)
    return broken({
      link: "container",
      service: name,
      wrong: "the container runs out of memory",
      expected: `processes that keep within ${memoryMb} MiB`,
      found: `the kernel killed ${childKills === 1 ? "one of them" : `them ${childKills} times`}, while the program went on`,
      evidence: `docker events --filter container=${container} --filter event=oom`,
      remedy: endedRemedy(name, container, { ...ending, oomKilled: true }),
      log,
    });
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

/** Message of a program that must be process 1, such as an init, when docker-init is process 1. */
const WANTS_PID_1 = /\b(pid|process)\s*(id\s*)?1\b/i;

function endedRemedy(name: string, container: string, { oomKilled, exitCode, log }: Ending): string {
  const see = `See "${logCommand(container)}"`;
  const key = `${NAMESPACE}:services.${name}`;
  if (oomKilled)
    return `${see}, then make the program use less memory or raise ${key}.memoryMb, and deploy again.`;
  if (log.some((line) => WANTS_PID_1.test(line)))
    return `Process 1 of the container is docker-init. Set ${key}.init to false, so that the image's own program is, and deploy again.`;
  if (exitCode === 0)
    return `The program ended without an error, and a service has to keep running. Set ${key}.command to a program that does, or ${key}.target to a stage whose CMD does, and deploy again.`;
  return `${see}, fix what ends the program, then deploy again.`;
}

/** Judges ended tasks of a Swarm service. The Swarm replaces an ended task with a new one. */
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

/** For example `ended by itself 3 times, with exit code 1 (not OOM-killed)`. */
export function timesEnded({ times, exitCode, oomKilled }: Restarts, memoryMb?: number): string {
  const count = Math.max(1, times);
  const code = exitCode === undefined ? "an unknown exit code" : `exit code ${exitCode}`;
  const limit = memoryMb === undefined ? "" : `: its limit is ${memoryMb} MiB`;
  const oom = oomKilled ? `OOM-killed${limit}` : "not OOM-killed";
  return `ended by itself ${count} ${count === 1 ? "time" : "times"}, with ${code} (${oom})`;
}

export function logCommand(container: string): string {
  return `docker logs ${container}`;
}
