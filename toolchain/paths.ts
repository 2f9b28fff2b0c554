import { dirname, join, resolve } from "node:path";

/** Where things are; tests point them elsewhere. */
export interface Paths {
  readonly project: string;
  /** Everything downloaded or built, git-ignored: .toolchain, or WATCH_PARTY_TOOLCHAIN. */
  readonly toolchain: string;
  /** First on PATH. */
  readonly bin: string;
  /** For work under way; what an interrupted run left there is removed by the next. */
  readonly tmp: string;
  /** The state of stacks where the user has no backend. */
  readonly state: string;
}

/** The places of this clone. */
export function paths(env: NodeJS.ProcessEnv = process.env): Paths {
  const project = dirname(__dirname);
  const toolchain = resolve(env.WATCH_PARTY_TOOLCHAIN || join(project, ".toolchain"));
  return {
    project,
    toolchain,
    bin: join(toolchain, "bin"),
    tmp: join(toolchain, "tmp"),
    state: join(project, ".state"),
  };
}
