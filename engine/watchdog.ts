import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "./docker";

/** Runs when this process ends, unless it is called off. */
export interface Watchdog {
  callOff(): void;
}

/** Its standard input closes when the other process ends, for whatever reason. */
const WATCH = 'read -r word; [ "$word" = off ] || exec "$@"';

/** Runs a script on the engine's machine when this process ends, even if it is killed. */
export function startWatchdog(engine: DockerEngine, script: string): Watchdog {
  const [file, args] = engine.scriptLine(script);
  const child = spawn("sh", ["-c", WATCH, "sh", file, ...args], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: childEnvironment("docker"),
  });
  const input = child.stdin as Writable & { unref?: () => void };
  // It may have been killed together with this process.
  input.on("error", () => undefined);
  child.on("error", () => undefined);
  child.unref();
  input.unref?.();
  return { callOff: () => void input.end("off\n") };
}
