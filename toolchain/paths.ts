import { dirname, join, resolve } from "node:path";

/** The folders in use. Tests set others. */
export interface Paths {
  readonly project: string;
  /** For everything downloaded or built, git-ignored: .toolchain, or WATCH_PARTY_TOOLCHAIN. */
  readonly toolchain: string;
  /** First on PATH. */
  readonly bin: string;
  /** For work in progress. The next run removes what an interrupted run left. */
  readonly tmp: string;
  /** The state of stacks if the user has no backend. */
  readonly state: string;
}

/** The folders of this clone. */
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
