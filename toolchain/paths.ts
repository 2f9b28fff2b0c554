import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isPackage, PACKAGE } from "../freshness/package";

/** The folders in use. Tests set others. */
export interface Paths {
  /** The folder with Pulumi.yaml. */
  readonly project: string;
  /** The folder of this program: the clone, or the npm package's compiled files. */
  readonly code: string;
  /** The folder of this program's package.json. */
  readonly root: string;
  /**
   * For everything downloaded or built: WATCH_PARTY_TOOLCHAIN, or the clone's git-ignored .toolchain; the npm package has one
   * below the user's cache folder for all projects.
   */
  readonly toolchain: string;
  /** First on PATH. */
  readonly bin: string;
  /** For work in progress. The next run removes what an interrupted run left. */
  readonly tmp: string;
  /** The state of stacks if the user has no backend. */
  readonly state: string;
}

/** What this program's own package.json says. */
export function ownPackage(): { readonly version: string; readonly repository: string } {
  return JSON.parse(readFileSync(join(paths().root, "package.json"), "utf8"));
}

/** The folders of this clone, or of the project that the npm package deploys. */
export function paths(env: NodeJS.ProcessEnv = process.env): Paths {
  const code = dirname(__dirname);
  const project = isPackage ? process.cwd() : code;
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), PACKAGE);
  const toolchain = resolve(env.WATCH_PARTY_TOOLCHAIN || (isPackage ? cache : join(project, ".toolchain")));
  return {
    project,
    code,
    root: isPackage ? dirname(code) : code,
    toolchain,
    bin: join(toolchain, "bin"),
    tmp: join(toolchain, "tmp"),
    state: join(project, ".state"),
  };
}
