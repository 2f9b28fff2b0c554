import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import execa from "execa";

/** The command line of every process of this machine that is seen while the work goes on. */
export async function commandLinesDuring(work: Promise<unknown>): Promise<string[]> {
  let goesOn = true;
  const end = () => {
    goesOn = false;
  };
  work.then(end, end);
  const seen = new Set<string>();
  while (goesOn) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(readFileSync(join("/proc", pid, "cmdline"), "utf8"));
      } catch {
        // It has ended.
      }
    }
    await new Promise((resume) => setTimeout(resume, 10));
  }
  return [...seen];
}

/**
 * What of a text is seen, while the work goes on, in the command lines and the environments of all that this process has started,
 * and of what that has started in turn: `environment of node …`, `command line of docker …`. Containers are none of them.
 */
export async function seenDuring(work: Promise<unknown>, text: string): Promise<string[]> {
  const seen = await exposedDuring(work, { "": text });
  return seen.map((each) => each.trimStart());
}

/**
 * The same for several secrets: `NAME environment of node …`.
 *
 * @param secrets what each is called → a part of it that nothing else has
 */
export async function exposedDuring(
  work: Promise<unknown>,
  secrets: Readonly<Record<string, string>>,
): Promise<string[]> {
  let goesOn = true;
  const end = () => {
    goesOn = false;
  };
  work.then(end, end);
  const seen = new Set<string>();
  const family = new Family();
  const look = (kind: string, line: string, text: string) => {
    for (const [name, secret] of Object.entries(secrets))
      if (text.includes(secret)) seen.add(`${name} ${kind} of ${line}`);
  };
  while (goesOn) {
    for (const pid of family.members())
      try {
        const read = (name: string) => readFileSync(join("/proc", pid, name), "utf8");
        const line = read("cmdline").replaceAll("\0", " ").trim();
        look("command line", line, line);
        look("environment", line, read("environ"));
      } catch {
        // It has ended.
      }
    await new Promise((resume) => setTimeout(resume, 10));
  }
  return [...seen];
}

/** All that this process has started, and what that has started in turn. A process of others is read once. */
class Family {
  private readonly own = new Map<string, boolean>();

  members(): string[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const alive = new Set(pids);
    for (const pid of this.own.keys()) if (!alive.has(pid)) this.own.delete(pid);
    return pids.filter((pid) => pid !== String(process.pid) && this.isOwn(pid));
  }

  /** One whose parent has ended stays what it was. */
  private isOwn(pid: string): boolean {
    if (pid === String(process.pid)) return true;
    const known = this.own.get(pid);
    if (known !== undefined) return known;
    const isOwn = this.isChild(pid);
    this.own.set(pid, isOwn);
    return isOwn;
  }

  private isChild(pid: string): boolean {
    try {
      const status = readFileSync(join("/proc", pid, "status"), "utf8");
      const parent = /^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? "0";
      return parent !== "0" && this.isOwn(parent);
    } catch {
      return false;
    }
  }
}

/** The language host hands the configuration to the program in its environment: no program can take it out of there. */
export function isProgram(seen: string): boolean {
  return /^environment of \S*node .*@pulumi\/pulumi\/cmd\/run/.test(seen);
}

export interface Process {
  readonly pid: number;
  /** Its command line. */
  readonly args: string;
}

/** All that a process has started, and what that has started in turn. */
export async function descendants(of: number): Promise<Process[]> {
  const { stdout } = await execa("ps", ["-e", "-o", "pid=,ppid=,args="]);
  const all = stdout.split("\n").flatMap((line) => {
    const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s(.*)$/.exec(line) ?? [];
    return pid ? [{ pid: Number(pid), parent: Number(parent), args: args! }] : [];
  });
  const found = new Set([of]);
  // Children come after their parents, except after a wrap-around of PIDs.
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => pid !== of && found.has(pid));
}

/** Ends processes where they are; one that has ended is as good. */
export function kill(processes: readonly Process[]): void {
  for (const { pid } of processes)
    try {
      process.kill(pid, "SIGKILL");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
    }
}
