import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "./docker";

/**
 * Starts a docker command whose input and output are the caller's.
 *
 * @param terminal whether both ends are a terminal: over ssh the server makes one too
 */
export function attach(
  engine: DockerEngine,
  args: readonly string[],
  { stdio, terminal = false }: { readonly stdio: StdioOptions; readonly terminal?: boolean },
): ChildProcess {
  const [file, own] = engine.commandLine(args);
  const argv = terminal && file === "ssh" ? ["-t", ...own] : own;
  return spawn(file, argv, { stdio, env: childEnvironment("docker") });
}

/** The exit status of a process; 128 and the signal's number where a signal ended it, as a shell tells it. */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (SIGNALS[signal ?? ""] ?? 0)));
  });
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGPIPE: 13,
  SIGTERM: 15,
};
