import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { ToolchainError } from "./errors";
import type { Paths } from "./paths";
import { run, tryRun, which } from "./run";

/** The oldest Go that the project supports. */
const oldestGo = "1.25";

/**
 * Returns why this Go cannot build `program`, or undefined if it can.
 * @param official the host of its official download; empty if there is none
 */
export function goProblem(
  version: string | undefined,
  program: string,
  official = "get.pulumi.com",
): ToolchainError | undefined {
  const instead = official ? `, or let this machine reach ${official}` : "";
  const remedy = `Install Go ${oldestGo} or later (https://go.dev/dl)${instead}.`;
  const why = `${program} ${official ? "cannot be downloaded here and " : ""}is built from Go modules`;
  if (version === undefined) return new ToolchainError(`Go is missing: ${why}`, remedy, 2);
  if (compareVersions(version, oldestGo) < 0) {
    return new ToolchainError(`Go ${version} is older than ${oldestGo}: ${why}`, remedy, 2);
  }
  return undefined;
}

/** Compares versions such as "1.25.3" and "go1.26". */
export function compareVersions(a: string, b: string): number {
  const parts = (text: string) => (text.match(/\d+/g) ?? []).map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** Builds the package that toolchain/go/FOLDER pins, into `output`. */
export async function goBuild(
  at: Paths,
  build: {
    folder: string;
    package: string;
    output: string;
    program: string;
    ldflags?: string;
    /** The host of the official download; empty if there is none. */
    official?: string;
  },
  note: (text: string) => void,
): Promise<void> {
  const version = await goVersion();
  const problem = goProblem(version, build.program, build.official);
  if (problem || version === undefined) throw problem;
  const cwd = join(at.project, "toolchain", "go", build.folder);
  // The user's flags are for the user's programs. -mod=readonly makes the build use the committed go.sum.
  const env: NodeJS.ProcessEnv = { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" };
  const needed = /^go (\S+)$/m.exec(readFileSync(join(cwd, "go.mod"), "utf8"))?.[1] ?? oldestGo;
  // A supported Go that is older than this module requires downloads the required one through the same proxy.
  if (compareVersions(version, needed) < 0) env.GOTOOLCHAIN = "auto";
  const remedy = `Let this machine reach the Go module proxy (GOPROXY), then run the command again.`;
  note("built from Go modules");
  mkdirSync(dirname(build.output), { recursive: true });
  const draft = `${build.output}.${process.pid}`;
  const flags = [
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags",
    `-s -w ${build.ldflags ?? ""}`.trim(),
  ];
  await run("go", ["build", ...flags, "-o", draft, build.package], {
    cwd,
    env,
    what: `building ${build.program}`,
    remedy,
  });
  renameSync(draft, build.output); // an interrupted build leaves no partial program
}

async function goVersion(): Promise<string | undefined> {
  if (which("go").length === 0) return undefined;
  const answer = await tryRun("go", ["env", "GOVERSION"], { env: { ...process.env, GOTOOLCHAIN: "local" } });
  return /^go(\d+[\d.]*)/.exec(answer.stdout.trim())?.[1];
}
