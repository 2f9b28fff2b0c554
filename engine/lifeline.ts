import { readFile } from "node:fs/promises";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import { exists } from "./orphans";

/** The Pulumi CLI that runs this program: the parent of the language host, which is this process's parent. */
export async function cliProcess(): Promise<number> {
  const status = await readFile(`/proc/${process.ppid}/status`, "utf8").catch(() => undefined);
  const parent =
    status === undefined
      ? (
          await execa("ps", ["-o", "ppid=", "-p", String(process.ppid)], {
            reject: false,
            env: childEnvironment("ssh"),
            extendEnv: false,
          })
        ).stdout
      : /^PPid:\s*(\d+)$/m.exec(status)?.[1];
  const pid = Number(parent);
  // A host that has lost its parent already is as good a sign of life as there is.
  return pid > 1 ? pid : process.ppid;
}

/**
 * Ends this process with another one. A program whose CLI was killed would go on for minutes: it could switch the edge
 * while the next deploy is under way.
 */
export function endWith(pid: number): void {
  setInterval(() => {
    if (!exists(pid)) process.exit(1);
  }, 250).unref();
}

/**
 * Whether a Pulumi CLI was told to refresh first: what the program reads of the state is then older than what the CLI goes by.
 *
 * @param pid the CLI
 */
export async function isRefreshing(pid: number): Promise<boolean> {
  if (process.env.PULUMI_OPTION_REFRESH === "true") return true;
  const said = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(async () => {
    const { stdout } = await execa("ps", ["-o", "args=", "-p", String(pid)], { reject: false });
    return stdout;
  });
  return /(^|[\0 ])(--refresh(=true)?|-r)([\0 ]|$)/.test(said);
}
