import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ToolchainError } from "./errors";

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** In milliseconds. */
  readonly timeout?: number;
}

export interface RunResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Runs a program until it exits. A failure is a result, not an exception. */
export function tryRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const child = spawn(program, args, { cwd: options.cwd, env: options.env ?? process.env });
    const timer =
      options.timeout === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill("SIGTERM");
          }, options.timeout);
    const done = (ok: boolean) => {
      clearTimeout(timer);
      resolve({ ok: ok && !timedOut, stdout, stderr, timedOut });
    };
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdin.on("error", () => {}); // a program that does not read its input
    child.on("error", (error) => {
      stderr += error.message;
      done(false);
    });
    child.on("close", (code) => done(code === 0));
    child.stdin.end(options.input ?? "");
  });
}

/** Runs a program that must succeed. Returns its stdout. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions & { what: string; remedy: string },
): Promise<string> {
  const result = await tryRun(program, args, options);
  if (result.ok) return result.stdout;
  const reason = result.timedOut ? "took too long" : "failed";
  throw new ToolchainError(
    `${options.what} ${reason}`,
    options.remedy,
    1,
    tail(result.stderr || result.stdout),
  );
}

/** The last lines of a log, which usually contain the error. */
export function tail(text: string, lines = 25): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** Every executable of this name on PATH, in order, without duplicates. */
export function which(name: string, searchPath = process.env.PATH ?? ""): string[] {
  const found = searchPath
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .filter(isExecutable);
  return [...new Set(found)];
}

/** Whether this is an executable file. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
