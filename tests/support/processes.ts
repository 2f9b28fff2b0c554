import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The command line of every process of this machine that is seen while the work goes on. */
export async function commandLinesDuring(work: Promise<unknown>): Promise<string[]> {
  let goesOn = true;
  const end = () => {
    goesOn = false;
  };
  work.then(end, end);
  const seen = new Set<string>();
  while (goesOn) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(readFileSync(join("/proc", pid, "cmdline"), "utf8"));
      } catch {
        // It has ended.
      }
    }
    await new Promise((resume) => setTimeout(resume, 10));
  }
  return [...seen];
}
