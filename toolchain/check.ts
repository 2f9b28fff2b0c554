import { join } from "node:path";
import { paths } from "./paths";
import { tryRun } from "./run";

const { project } = paths();
const bin = (name: string) => join(project, "node_modules", ".bin", name);

/** Lint and format, types, a lockfile that installs on every platform, and a reference that tells what the code does. */
const CHECKS: readonly [string, string, readonly string[]][] = [
  ["lint and format", bin("biome"), ["ci", "--error-on-warnings", "--colors=off", "."]],
  ["types", bin("tsc"), ["--project", "."]],
  ["lockfile", process.execPath, [join(__dirname, "complete-lockfile.js"), "--check"]],
  [
    "reference",
    process.execPath,
    ["--require", "@swc-node/register", join(project, "docs", "generate.ts"), "--check"],
  ],
];

async function main(): Promise<void> {
  const results = await Promise.all(
    CHECKS.map(async ([name, program, args]) => {
      const { ok, stdout, stderr } = await tryRun(program, args, { cwd: project });
      process.stderr.write(`check: ${name}: ${ok ? "good" : `failed\n${stdout}${stderr}`}\n`);
      return ok;
    }),
  );
  process.exitCode = results.every(Boolean) ? 0 : 1;
}

main();
