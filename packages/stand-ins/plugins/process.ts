/** Child processes: asynchronous, each in a process group of its own, all of them stoppable at once. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  stdin?: string;
  onStdout?: (chunk: string) => void;
  onStderr?: (chunk: string) => void;
}

export interface RunResult {
  /** The exit status; undefined where a signal ended the process or it never started. */
  code?: number;
  signal?: NodeJS.Signals;
  /** Why it could not be started. */
  failure?: NodeJS.ErrnoException;
  stdout: string;
  stderr: string;
  /** Both, in the order in which they came. */
  output: string;
}

const running = new Set<ChildProcessWithoutNullStreams>();

/** Runs a program to its end. Never rejects: what went wrong is in the result. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve) => {
    const result: RunResult = { stdout: "", stderr: "", output: "" };
    const child = start(command, args, options);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      result.stdout += chunk;
      result.output += chunk;
      options.onStdout?.(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      result.stderr += chunk;
      result.output += chunk;
      options.onStderr?.(chunk);
    });
    child.on("error", (failure) => resolve({ ...result, failure }));
    child.on("close", (code, signal) => {
      resolve({ ...result, ...(code === null ? {} : { code }), ...(signal === null ? {} : { signal }) });
    });
    child.stdin.end(options.stdin ?? "");
  });
}

/** This process's variables without Pulumi's and the deploy's, some of which are keys. */
export function withoutSecrets(): NodeJS.ProcessEnv {
  const passed = Object.entries(process.env).filter(([name]) => !/^(PULUMI|WATCH_PARTY)_/.test(name));
  return Object.fromEntries(passed);
}

/** Starts a program whose streams the caller handles. */
export function start(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): ChildProcessWithoutNullStreams {
  // A group of its own, so that stopping it also stops what it has started.
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? withoutSecrets(),
    detached: true,
  });
  running.add(child);
  child.on("error", () => running.delete(child));
  child.on("close", () => running.delete(child));
  // A program that ends before it has read its input is no failure of ours.
  child.stdin.on("error", () => undefined);
  return child;
}

/** Ends a child and what it has started. */
function stop(child: ChildProcessWithoutNullStreams): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
  } catch {
    // It ended in between.
  }
}

/** Ends every child that still runs, and what it has started. */
export function stopAll(): void {
  for (const child of running) stop(child);
}

/** Calls `onLine` for each full line of the chunks it is given, and for the rest at `end`. */
export function lines(onLine: (line: string) => void): { push(chunk: string): void; end(): void } {
  let rest = "";
  return {
    push(chunk) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) onLine(line);
    },
    end() {
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}
