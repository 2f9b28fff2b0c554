#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PACKAGE, projectName } from "../freshness/package";
import { onCurrentNode } from "../toolchain/node";
import { ownPackage, paths } from "../toolchain/paths";

/** A command, as the build writes it into commands.json from the npm scripts and each command's own help. */
export interface Listed {
  readonly name: string;
  /** The file of cli/ that runs it, without its extension. */
  readonly file: string;
  readonly description: string;
  /** How much of the toolchain it needs. */
  readonly needs: "nothing" | "pulumi" | "engine";
}

/** The command of the npm package: finds the project, brings what the command needs, and runs it in this process. */
async function start(): Promise<void> {
  const listed = JSON.parse(readFileSync(join(__dirname, "commands.json"), "utf8")) as readonly Listed[];
  const [name = "--help", ...args] = process.argv.slice(2);
  if (/^(--help|-h|help)$/.test(name)) return print(help(listed));
  if (/^(--version|-v)$/.test(name)) return print(`${ownPackage().version}\n`);
  const command = listed.find((each) => each.name === name);
  if (command === undefined) return fail(`"${name}" is not a command; "npx ${PACKAGE} --help" lists them`);

  const project = projectAbove(process.cwd());
  if (project === undefined && command.needs !== "nothing")
    return fail(
      `no Pulumi.yaml here or in a folder above; run "npx ${PACKAGE} init" in your app's repository`,
    );
  // Paths in arguments are relative to where the user is, as with an npm script.
  process.env.INIT_CWD = process.cwd();
  if (project !== undefined) {
    process.chdir(project.folder);
    process.env.WATCH_PARTY_PROJECT = project.name;
  }
  await onCurrentNode(__filename, paths().toolchain);
  (require("node:module") as typeof import("node:module")).enableCompileCache?.();
  require("../toolchain/sdk");
  const { main } = require("../toolchain/main") as typeof import("../toolchain/main");
  const { needs, file } = command;
  await main({
    packages: needs === "nothing" || args.includes("--help"),
    engine: needs === "engine",
    quiet: true,
    script: join("cli", `${file}.js`),
    args,
  });
}

/** The nearest folder with a Pulumi.yaml, upwards, and the project's name. */
function projectAbove(folder: string): { readonly folder: string; readonly name: string } | undefined {
  const file = join(folder, "Pulumi.yaml");
  if (existsSync(file)) {
    const name = projectName(readFileSync(file, "utf8"));
    return name === undefined ? undefined : { folder, name };
  }
  return dirname(folder) === folder ? undefined : projectAbove(dirname(folder));
}

function help(listed: readonly Listed[]): string {
  const width = Math.max(...listed.map(({ name }) => name.length));
  const lines = listed.map(({ name, description }) => `  ${name.padEnd(width)}  ${description}`);
  return `Usage: ${PACKAGE} COMMAND [options]\n\n${lines.join("\n")}\n\n"${PACKAGE} COMMAND --help" lists the options of a command.\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}

function fail(message: string): void {
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 2;
}

start().catch((error: Error) => {
  process.stderr.write(`error: ${error.stack}\n`);
  process.exit(1);
});
