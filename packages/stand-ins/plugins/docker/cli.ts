/** Selects the docker CLI and its engine. */

import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { run, withoutSecrets } from "../process";
import type { Props } from "../values";

/** The environment of the CLI. Configure points it at the engine. */
let environment: NodeJS.ProcessEnv = withoutSecrets();

/** The environment of every docker process. */
export function dockerEnvironment(): NodeJS.ProcessEnv {
  return environment;
}

/** Points the CLI at the engine of the provider's configuration. Does not connect: a preview needs no engine. */
export function configure(args: Props): void {
  const { host, sshOpts } = args;
  environment = withoutSecrets();
  if (typeof host === "string" && host !== "") {
    environment.DOCKER_HOST = host;
    // DOCKER_HOST takes precedence over a context, but the context's TLS settings would still apply.
    delete environment.DOCKER_CONTEXT;
  }
  const options = parseSshOptions(sshOpts);
  if (options.length > 0) environment.PATH = `${sshWrapper(options)}${delimiter}${process.env.PATH ?? ""}`;
}

function parseSshOptions(sshOpts: Props[string] | undefined): string[] {
  if (sshOpts === undefined || sshOpts === null || sshOpts === "") return [];
  // The engine sends nested configuration as a JSON string.
  const list: unknown = typeof sshOpts === "string" ? JSON.parse(sshOpts) : sshOpts;
  if (!Array.isArray(list) || !list.every((option): option is string => typeof option === "string")) {
    throw new Error("docker provider: sshOpts: should be a list of strings");
  }
  return list;
}

/**
 * The docker CLI has no options for the ssh that it starts. A folder at the front of PATH therefore contains an `ssh`
 * wrapper that adds them. Only these processes find it.
 */
function sshWrapper(options: readonly string[]): string {
  const ssh = findOnPath("ssh")[0];
  if (ssh === undefined) throw new Error("docker provider: sshOpts is set, but there is no ssh on PATH");
  const folder = mkdtempSync(join(tmpdir(), "docker-ssh-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const script = join(folder, "ssh");
  writeFileSync(script, `#!/bin/sh\nexec ${[ssh, ...options].map(quoted).join(" ")} "$@"\n`);
  chmodSync(script, 0o700);
  return folder;
}

/** A CLI that builds with BuildKit, and the arguments that start a build. */
export interface Builder {
  docker: string;
  command: readonly string[];
  environment: NodeJS.ProcessEnv;
}

let builder: Promise<Builder> | undefined;

/**
 * The first docker CLI on PATH that can build. A CLI before 23 includes BuildKit; a later one needs the buildx
 * component. A CLI without it is skipped instead of failing, because machines often have several.
 */
export function buildKitBuilder(): Promise<Builder> {
  builder ??= findBuilder();
  return builder;
}

async function findBuilder(): Promise<Builder> {
  const candidates = findOnPath("docker");
  if (candidates.length === 0)
    throw new Error("there is no docker CLI on PATH; install it, or put it on PATH");
  for (const docker of candidates) {
    const version = /version (\d+)/.exec(
      (await run(docker, ["--version"], { env: environment })).stdout,
    )?.[1];
    if (Number(version) < 23) {
      return { docker, command: ["build"], environment: { ...environment, DOCKER_BUILDKIT: "1" } };
    }
    if ((await run(docker, ["buildx", "version"], { env: environment })).code === 0) {
      // The default builder is the engine itself. A selected builder might not load the image into the engine.
      return { docker, command: ["buildx", "build", "--builder", "default", "--load"], environment };
    }
  }
  throw new Error(
    `the docker CLI cannot build: ${candidates.join(", ")} has no buildx component. Install docker-buildx (the plugin ` +
      "of the docker CLI), or put a docker CLI that has it on PATH",
  );
}

/** All executables with this name on PATH, in order. */
function findOnPath(name: string): string[] {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .filter((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function quoted(argument: string): string {
  return `'${argument.replaceAll("'", "'\\''")}'`;
}
