import { spawn } from "node:child_process";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";

/** Waits for a word; where the program ends without it, what was started is stopped. */
const WAIT = 'read -r word; [ "$word" = good ] || exec "$@"';

/**
 * Guards a deploy that starts containers. The CLI ends the program where a resource fails, and where it is told to: the program
 * cannot stop what it has started, a process of its own can.
 *
 * @param cli the process that runs the program
 * @returns what ends the guard once the release serves
 */
export function guardStart(cli: number): () => void {
  const refused = join(process.cwd(), "cli", "refused.ts");
  const node = ["--preserve-symlinks", "--preserve-symlinks-main", ...process.execArgv, refused];
  const args = [...node, "--stack", pulumi.getStack(), "--cli", String(cli)];
  const guard = spawn("sh", ["-c", WAIT, "sh", process.execPath, ...args], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // It outlives the program, which does not wait for it.
  guard.unref();
  const { stdin } = guard;
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref();
  return () => {
    stdin.end("good\n");
  };
}
