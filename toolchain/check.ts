import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ToolchainError } from "./errors";
import { type Linters, linters } from "./linters";
import { paths } from "./paths";
import { seconds } from "./progress";
import { type RunResult, tryRun } from "./run";
import { shellScripts } from "./shellScripts";

const at = paths();
const { project } = at;
const bin = (name: string) => join(project, "node_modules", ".bin", name);
const WORKFLOWS = join(".github", "workflows");

type Check = () => Promise<Pick<RunResult, "ok" | "stdout" | "stderr">>;

const program =
  (path: string, ...args: string[]): Check =>
  () =>
    tryRun(path, args, { cwd: project });

/**
 * Lint and format, types, unused code, a lockfile that installs on every platform, the workflows and the shell scripts.
 */
function checks(bringing: Promise<Linters>): readonly (readonly [string, Check])[] {
  const workflows = readdirSync(join(project, WORKFLOWS)).map((name) => join(WORKFLOWS, name));
  const linted =
    (args: (found: Linters) => Promise<string[]> | string[]): Check =>
    async () => {
      const [path = "", ...rest] = await args(await bringing);
      return tryRun(path, rest, { cwd: project });
    };
  return [
    ["lint and format", program(bin("biome"), "ci", "--error-on-warnings", "--colors=off", ".")],
    ["types", program(bin("tsc"), "--project", ".")],
    ["unused code and packages", program(bin("knip"), "--no-progress")],
    [
      "layers and circles",
      program(
        process.execPath,
        join(project, "node_modules", "dependency-cruiser", "bin", "dependency-cruiser.mjs"),
        ...["--config", ".dependency-cruiser.js", "--output-type", "err", "."],
      ),
    ],
    [
      "habits",
      program(process.execPath, ...["--require", "@swc-node/register", join(__dirname, "habits.ts")]),
    ],
    ["lockfile", program(process.execPath, join(__dirname, "complete-lockfile.js"), "--check")],
    [
      "reference",
      program(
        process.execPath,
        ...["--require", "@swc-node/register", join(project, "docs", "generate.ts"), "--check"],
      ),
    ],
    [
      "workflows",
      linted(({ actionlint, shellcheck }) => [
        actionlint,
        ...["-no-color", "-shellcheck", shellcheck, "-pyflakes", "", ...workflows],
      ]),
    ],
    [
      "security of workflows",
      linted(({ zizmor }) => [
        zizmor,
        ...["--offline", "--no-progress", "--color", "never", "--persona", "auditor", ...workflows],
      ]),
    ],
    [
      "shell scripts",
      linted(async ({ shellcheck }) => [shellcheck, "--color=never", ...(await shellScripts(project))]),
    ],
  ];
}

async function main(): Promise<void> {
  const bringing = linters(at, (text) => process.stderr.write(`check: ${text} …\n`));
  const results = await Promise.all(
    checks(bringing).map(async ([name, check]) => {
      const started = performance.now();
      const { ok, stdout, stderr } = await check().catch((cause: Error) => ({
        ok: false,
        stdout: "",
        stderr: cause instanceof ToolchainError ? cause.print() : `${cause.message}\n`,
      }));
      const how = ok ? `good (${seconds(started)})` : `failed\n${stdout}${stderr}`;
      process.stderr.write(`check: ${name}: ${how}\n`);
      return ok;
    }),
  );
  process.exitCode = results.every(Boolean) ? 0 : 1;
}

main();
