import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { childEnvironment } from "../config/environment";
import { ignoreRules } from "../freshness/dockerignore";
import { BuildTrace } from "./buildTrace";
import type { DockerEngine } from "./docker";
import { withoutControls } from "./mask";

/** A build that failed. */
export interface FailedBuild {
  /** The build context, relative to the project. */
  readonly context: string;
  /** Relative to the project. */
  readonly dockerfile: string;
  readonly platform?: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
}

/** How the error that holds the log of a failed build begins. */
export function buildFailed(name: string): string {
  return `the build of ${name} failed:`;
}

const SHOWN_LINES = 40;
const SHOWN_COLUMNS = 400;
/** Maximum minutes to wait for a build to fail again. */
const MINUTES = 5;

/**
 * Runs a failed build again, without an image name, to read the output of its steps: the docker plugin does
 * not report it. The cache provides what the first run built.
 *
 * @returns the last lines of the failed step, without the values of build args
 */
export async function buildLog(engine: DockerEngine, build: FailedBuild): Promise<string> {
  const { context, dockerfile, platform, target, args } = build;
  const trace = new BuildTrace();
  const query = {
    version: "2",
    dockerfile: relative(context, dockerfile),
    buildargs: JSON.stringify(args),
    ...(platform === undefined ? {} : { platform }),
    ...(target === undefined ? {} : { target }),
  };
  const files = await sentFiles(context, query.dockerfile);
  const tar = spawn("tar", ["-C", context, "-cf", "-", "--null", "-T", "-"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: childEnvironment("ssh"),
  });
  tar.stdin.on("error", () => tar.kill());
  tar.stdin.end(files.map((file) => `${file}\0`).join(""));
  await engine.build(query, tar.stdout, (line) => trace.hear(line), MINUTES * 60);
  if (trace.failure === "") return "the same build succeeds now; run the command again";
  return hideArgs(lastLines(`${trace.output()}\n${trace.failure}`), args);
}

/** The files of a context that .dockerignore leaves in, plus those that a builder always needs. */
async function sentFiles(context: string, dockerfile: string): Promise<string[]> {
  const entries = await readdir(context, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(context, join(entry.parentPath, entry.name)));
  const own = `${dockerfile}.dockerignore`;
  const ignored = files.includes(own) ? own : ".dockerignore";
  const rules = ignoreRules(files.includes(ignored) ? await readFile(join(context, ignored), "utf8") : "");
  return files.filter((file) => file === dockerfile || file === ignored || !rules.ignores(file));
}

/** Returns the last lines of a build's output. */
export function lastLines(output: string): string {
  const lines = output
    .split(/\r\n|\r|\n/)
    .map(withoutControls)
    .filter((line) => line.trim() !== "");
  return lines
    .slice(-SHOWN_LINES)
    .map((line) => (line.length > SHOWN_COLUMNS ? `${line.slice(0, SHOWN_COLUMNS)}…` : line))
    .join("\n");
}

/** Args whose short values need no masking. */
const OPEN = /^(NODE_OPTIONS|NODE_ENV)$|COMMIT|REVISION|VERSION/i;
/** Args that count as secrets because of their names, however short their values are. */
const SECRET = /TOKEN|SECRET|PASS|KEY|AUTH|CREDENTIAL/i;
const SHORTEST = 6;
const SHORTEST_SECRET = 3;
const LONGEST_OPEN = 100;

/** Replaces each line of an arg's value by the arg's name; short values that are not secrets stay. */
export function hideArgs(text: string, args: Readonly<Record<string, string>>): string {
  const hidden = Object.entries(args).flatMap(([name, value]) => {
    const isSecret = SECRET.test(name);
    if (OPEN.test(name) && !isSecret && value.length <= LONGEST_OPEN) return [];
    const parts = [value, ...value.split("\n")].map((part) => part.trim());
    return parts
      .filter((part) => part.length >= (isSecret ? SHORTEST_SECRET : SHORTEST))
      .map((part) => [part, name] as const);
  });
  // Longest first: one value may be part of another.
  return hidden
    .sort(([a], [b]) => b.length - a.length)
    .reduce((said, [part, name]) => said.replaceAll(part, `[build arg ${name}]`), text);
}
