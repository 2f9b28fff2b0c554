/** Asynchronous child processes, each in its own process group. All can be stopped at once. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  stdin?: string;
  onStdout?: (chunk: string) => void;
  onStderr?: (chunk: string) => void;
}

export interface RunResult {
  /** The exit status; undefined if a signal ended the process or it never started. */
  code?: number;
  signal?: NodeJS.Signals;
  /** Why it could not start. */
  failure?: NodeJS.ErrnoException;
  stdout: string;
  stderr: string;
  /** stdout and stderr in order of arrival. */
  output: string;
}

const running = new Set<ChildProcessWithoutNullStreams>();

/** Runs a program until it exits. Never rejects: the result contains errors. */
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

/** This process's variables without those of Pulumi and the deploy, some of which are keys. */
export function withoutSecrets(): NodeJS.ProcessEnv {
  const passed = Object.entries(process.env).filter(([name]) => !/^(PULUMI|WATCH_PARTY)_/.test(name));
  return Object.fromEntries(passed);
}

/** Starts a program. The caller handles its streams. */
export function start(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): ChildProcessWithoutNullStreams {
  // A separate process group, so that a stop also reaches its children.
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? withoutSecrets(),
    detached: true,
  });
  running.add(child);
  child.on("error", () => running.delete(child));
  child.on("close", () => running.delete(child));
  // A program may exit before it has read its input. That is not an error.
  child.stdin.on("error", () => undefined);
  return child;
}

/** Stops a child and its descendants. */
function stop(child: ChildProcessWithoutNullStreams): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
  } catch {
    // It has already exited.
  }
}

/** Stops every running child and its descendants. */
export function stopAll(): void {
  for (const child of running) stop(child);
}

/** Calls `onLine` for each complete line, and for the rest at `end`. */
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
