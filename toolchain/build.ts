import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Listed } from "../cli/bin";
import { type CommandHelp, readCommands } from "../docs/reference";
import { ToolchainError } from "./errors";
import { paths } from "./paths";
import { run } from "./run";

/** Builds the npm package's files: the TypeScript, compiled, with declarations, and the list of the commands. */
async function main(): Promise<void> {
  const { project } = paths();
  const dist = join(project, "dist");
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(project, "node_modules", ".bin", "tsc");
  const [commands] = await Promise.all([
    readCommands(),
    run(tsc, ["--project", "tsconfig.build.json"], {
      cwd: project,
      what: "compiling the package",
      remedy: "Run npm run check.",
    }),
  ]);
  // The package ships no stand-ins; the type checker needs them to compile the files that name them.
  rmSync(join(dist, "packages", "stand-ins"), { recursive: true, force: true });
  for (const name of ["checksums.js", "download.js", "lock.js", "node.js", "sdk.js"])
    copyFileSync(join(project, "toolchain", name), join(dist, "toolchain", name));
  const listed = listedCommands(commands);
  mkdirSync(join(dist, "cli"), { recursive: true });
  writeFileSync(join(dist, "cli", "commands.json"), `${JSON.stringify(listed, null, 2)}\n`);
  chmodSync(join(dist, "cli", "bin.js"), 0o755);
}

/** The commands of cli/ by the npm scripts that run them, with the description of each one's help. */
function listedCommands(commands: readonly CommandHelp[]): Listed[] {
  const { scripts } = JSON.parse(readFileSync(join(paths().project, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  return Object.entries(scripts).flatMap(([name, line]) => {
    const [, flags = "", file] = /bootstrap\.js (.*)\bcli\/(\S+)\.ts$/.exec(line) ?? [];
    if (file === undefined) return [];
    const needs = flags.includes("--engine") ? "engine" : flags.includes("--packages") ? "nothing" : "pulumi";
    const help = commands.find(({ script }) => scripts[script]?.endsWith(`cli/${file}.ts`));
    const description = help?.description ?? "Runs the Pulumi CLI in the project's environment.";
    return [{ name, file, description, needs }];
  });
}

main().catch((cause: Error) => {
  process.stderr.write(cause instanceof ToolchainError ? cause.print() : `${cause.stack}\n`);
  process.exitCode = 1;
});
