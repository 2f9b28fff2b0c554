import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import type { DockerEngine } from "./docker";

/** What runs when this process ends before it is called off. */
export interface Watchdog {
  callOff(): void;
}

/** Its standard input ends with the process that holds the other end, however that ends. */
const WATCH = 'read -r word; [ "$word" = off ] || exec "$@"';

/** Runs a script on the engine's machine when this process ends, also where it is killed. */
export function startWatchdog(engine: DockerEngine, script: string): Watchdog {
  const [file, args] = engine.scriptLine(script);
  const child = spawn("sh", ["-c", WATCH, "sh", file, ...args], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const input = child.stdin as Writable & { unref?: () => void };
  // One that was killed beside this process needs no telling.
  input.on("error", () => undefined);
  child.on("error", () => undefined);
  child.unref();
  input.unref?.();
  return { callOff: () => void input.end("off\n") };
}
