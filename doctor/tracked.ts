import { execFile } from "node:child_process";

/** The configuration of a repository may name programs to run (core.fsmonitor): none of it is obeyed. */
const OBEY_NOTHING = [
  ["-c", "core.fsmonitor=false"],
  ["-c", "core.hooksPath=/dev/null"],
  ["-c", "core.untrackedCache=false"],
  ["-c", "safe.bareRepository=explicit"],
].flat();
/** An index may be a pipe that nobody writes to. */
const PATIENCE_MS = 10_000;

/** The files that git tracks below a folder, and those that it would take; undefined where the folder is no checkout. */
export async function trackedFiles(
  folder: string,
): Promise<{ readonly tracked: string[]; readonly others: string[] } | undefined> {
  const list = (...args: string[]) =>
    new Promise<string[]>((resolve, reject) => {
      const options = {
        cwd: folder,
        env: withoutGit(process.env),
        maxBuffer: 1024 ** 3,
        timeout: PATIENCE_MS,
        killSignal: "SIGKILL" as const,
      };
      execFile("git", [...OBEY_NOTHING, "ls-files", "-z", ...args], options, (error, stdout) =>
        error ? reject(error) : resolve(stdout.split("\0").filter((path) => path !== "")),
      );
    });
  try {
    const [tracked, others] = await Promise.all([list("--cached"), list("--others", "--exclude-standard")]);
    // A folder that the checkout around it ignores is not part of it.
    return tracked.length + others.length > 0 ? { tracked, others } : undefined;
  } catch {
    // No checkout, or no git.
    return undefined;
  }
}

/** A hook of git sets GIT_DIR and the like, which would name another repository. */
function withoutGit(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^GIT_/.test(name));
  return { ...Object.fromEntries(kept), GIT_OPTIONAL_LOCKS: "0", GIT_TERMINAL_PROMPT: "0" };
}
