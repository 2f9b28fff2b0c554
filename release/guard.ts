import { spawn } from "node:child_process";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { childEnvironment } from "../config/environment";
import { isPackage } from "../freshness/package";

/** Waits for a line on stdin. If the program ends without writing it, runs the clean-up command. */
const WAIT = 'read -r word; [ "$word" = good ] || exec "$@"';

/**
 * Guards a deploy that starts containers. The CLI kills the program when a resource fails or on request, so the program
 * cannot stop what it has started. A separate process can.
 * @param cli the process that runs the program
 * @returns a function that ends the guard once the release serves
 */
export function guardStart(cli: number): () => void {
  const node = isPackage
    ? [join(__dirname, "..", "cli", "refused.js")]
    : [
        "--preserve-symlinks",
        "--preserve-symlinks-main",
        ...process.execArgv,
        join(process.cwd(), "cli", "refused.ts"),
      ];
  const args = [...node, "--stack", pulumi.getStack(), "--cli", String(cli)];
  const guard = spawn("sh", ["-c", WAIT, "sh", process.execPath, ...args], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    // The command reads the stack's state and asks the engine.
    env: childEnvironment("pulumi", childEnvironment("docker")),
  });
  // The guard outlives the program, and the program does not wait for it.
  guard.unref();
  const { stdin } = guard;
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref();
  return () => {
    stdin.end("good\n");
  };
}
