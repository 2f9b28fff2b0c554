import Module from "node:module";
import { resolve } from "node:path";
import { isPackage } from "../freshness/package";
import { assertSecrets, toolchainEnv } from "./env";
import { ToolchainError } from "./errors";
import { paths } from "./paths";
import { seconds } from "./progress";
import { isReady } from "./ready";

/** The request from bootstrap.js. */
interface Request {
  /** Only Node and the packages are needed. */
  readonly packages: boolean;
  readonly engine: boolean;
  readonly quiet: boolean;
  /** Relative to the project. */
  readonly script: string | undefined;
  readonly args: readonly string[];
}

/** Prepares the toolchain, then runs the script in this process, in the toolchain's environment. */
export async function main(request: Request): Promise<void> {
  const started = performance.now();
  const at = paths();
  try {
    if (!request.packages) assertSecrets(process.env);
    if (!request.packages && !(await isReady(request, at))) {
      // Loaded only here, so that a ready machine does not wait for the installers.
      const { setup } = require("./setup") as typeof import("./setup");
      await setup(request);
    }
  } catch (error) {
    process.stderr.write(
      error instanceof ToolchainError ? error.print() : `toolchain: ${(error as Error).stack}\n`,
    );
    process.exit(error instanceof ToolchainError ? error.exitCode : 1);
  }
  if (!request.quiet) process.stderr.write(`toolchain: ready (${seconds(started)})\n`);
  if (request.script === undefined) return;
  // A command of the npm package that needs no Pulumi leaves nothing behind, such as a local backend's folder.
  if (!isPackage || !request.packages) Object.assign(process.env, toolchainEnv(process.env, at));
  const script = resolve(at.code, request.script);
  process.argv = [process.argv[0] ?? process.execPath, script, ...request.args];
  // Tests and the benchmark locate neighbouring files by each file's folder, so they are loaded file by file instead of
  // as a bundle.
  if (/^(tests|bench)\//.test(request.script)) {
    delete require.extensions[".ts"];
    require("@swc-node/register");
  }
  // As node itself does: the script is the main module.
  (Module as unknown as { runMain(path: string): void }).runMain(script);
}
