import { readFile } from "node:fs/promises";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import { exists } from "./orphans";

/**
 * PID of the Pulumi CLI that runs this program: the parent of the language host, which is this process's
 * parent.
 */
export async function cliProcess(): Promise<number> {
  const pid = await parentOf(process.ppid);
  // If the CLI is already gone, watch the language host instead.
  return pid > 1 ? pid : process.ppid;
}

async function parentOf(pid: number): Promise<number> {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    // Only Linux has /proc.
    const { stdout } = await execa("ps", ["-o", "ppid=", "-p", String(pid)], {
      reject: false,
      env: childEnvironment("ssh"),
      extendEnv: false,
    });
    return Number(stdout);
  }
}

/**
 * Exits when another process ends. Without its CLI the program would run on for minutes and could switch the
 * edge during the next deploy.
 */
export function endWith(pid: number): void {
  setInterval(() => {
    if (!exists(pid)) process.exit(1);
  }, 250).unref();
}

/**
 * Whether the Pulumi CLI runs with --refresh: the CLI's state is then newer than the one that the program
 * reads.
 *
 * @param pid the CLI
 */
export async function isRefreshing(pid: number): Promise<boolean> {
  if (process.env.PULUMI_OPTION_REFRESH === "true") return true;
  const said = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(async () => {
    const { stdout } = await execa("ps", ["-o", "args=", "-p", String(pid)], {
      reject: false,
      env: childEnvironment("ssh"),
      extendEnv: false,
    });
    return stdout;
  });
  return /(^|[\0 ])(--refresh(=true)?|-r)([\0 ]|$)/.test(said);
}
