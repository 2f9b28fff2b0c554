/** Builds an image with the docker CLI. Several builds can run in parallel. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../engine-log";
import { lines, run } from "../process";
import { api, apiOrNothing } from "./api";
import { type Builder, buildKitBuilder, dockerEnvironment } from "./cli";

export interface BuildSpec {
  imageName: string;
  context: string;
  dockerfile: string;
  args: Record<string, string>;
  target?: string;
  platform?: string;
  cacheFrom: readonly string[];
  /** Use the engine's legacy builder instead of BuildKit. */
  legacy: boolean;
}

/** How many lines of the build's own output an error contains. */
const tailLength = 20;

/** Lines without useful information: the digest of each step. */
const IDENTIFIER = /^#\d+ sha256:[0-9a-f]{64}$/;

/** Builds and tags an image, and returns its ID. Shows the builder's progress as the resource's status. */
export async function buildImage(spec: BuildSpec, log: Log): Promise<string> {
  const [builder] = await Promise.all([builderFor(spec), checkPlatform(spec.platform)]);
  const folder = await mkdtemp(join(tmpdir(), "docker-build-"));
  try {
    const idFile = join(folder, "id");
    const { args, environment } = buildArguments(spec);
    const said: string[] = [];
    const hear = lines((line) => {
      said.push(line);
      if (!IDENTIFIER.test(line)) log.status(line);
    });
    const result = await run(
      builder.docker,
      [
        ...builder.command,
        ...(spec.legacy ? [] : ["--progress=plain"]),
        ...["--tag", spec.imageName, "--file", spec.dockerfile, "--iidfile", idFile],
        ...(spec.platform === undefined ? [] : ["--platform", spec.platform]),
        ...(spec.target === undefined ? [] : ["--target", spec.target]),
        ...spec.cacheFrom.flatMap((image) => ["--cache-from", image]),
        ...args,
        "--",
        spec.context,
      ],
      { env: { ...builder.environment, ...environment }, onStdout: hear.push, onStderr: hear.push },
    );
    hear.end();
    if (result.failure !== undefined) throw new Error(`${builder.docker}: ${result.failure.message}`);
    if (result.code !== 0) throw new Error(buildFailure(said, spec.args));
    return await imageId(await readFile(idFile, "utf8"), spec.imageName);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function builderFor({ legacy }: BuildSpec): Promise<Builder> {
  if (!legacy) return buildKitBuilder();
  return {
    docker: "docker",
    command: ["build"],
    environment: { ...dockerEnvironment(), DOCKER_BUILDKIT: "0" },
  };
}

/** Variables that affect the CLI itself. A build argument with such a name cannot be passed through the environment. */
const reserved = /^(PATH|HOME|TMPDIR|LD_.*|GO.*|DOCKER_.*|BUILDKIT_.*|BUILDX_.*|SSH_.*|.*_PROXY)$/i;

/** Build arguments by name, with their values in the environment: every user of the machine can read a command line. */
export function buildArguments({ args }: Pick<BuildSpec, "args">): {
  args: string[];
  environment: Record<string, string>;
} {
  const names = Object.keys(args);
  return {
    args: names.flatMap((name) => ["--build-arg", reserved.test(name) ? `${name}=${args[name]}` : name]),
    environment: Object.fromEntries(
      names.filter((name) => !reserved.test(name)).map((name) => [name, args[name] ?? ""]),
    ),
  };
}

/**
 * Refuses another platform than the engine's. The engine builds for its own platform, and an image for another one
 * would not start.
 */
async function checkPlatform(wanted: string | undefined): Promise<void> {
  if (wanted === undefined) return;
  const { Os, Arch } = await api<{ Os: string; Arch: string }>("GET", "/version");
  const [os, arch] = wanted.split("/");
  if (os === Os && arch === Arch) return;
  throw new Error(
    `build.platform: ${wanted} is asked for, and the engine builds ${Os}/${Arch}. Set build.platform to ${Os}/${Arch}, ` +
      "or leave it out",
  );
}

/** Build arguments whose values are public. The values of all others are removed from an error. */
const open = /COMMIT|REVISION|VERSION|NODE_OPTIONS|NODE_ENV/i;

/** The official plugin's recorded message, followed by what it lacks: the end of the build's own output. */
export function buildFailure(said: readonly string[], args: Record<string, string>): string {
  const written = said.filter((line) => line.trim() !== "");
  const last = written[written.length - 1] ?? "the build failed and said nothing";
  const cause = last.replace(/^(ERROR: |error: )?(failed to solve: )?/, "");
  const message = [
    `error reading build output: ${cause}`,
    "",
    `the last lines of the build:`,
    ...written.slice(-tailLength).map((line) => `    ${line}`),
  ].join("\n");
  return Object.entries(args)
    .filter(([name, value]) => !open.test(name) && value.length >= 6)
    .reduce((text, [name, value]) => text.replaceAll(value, `[build arg ${name}]`), message);
}

/** The image's ID on the engine: the one that the builder wrote, or the one that the name resolves to. */
async function imageId(written: string, name: string): Promise<string> {
  for (const reference of [written.trim(), name].filter((text) => text !== "")) {
    const found = await apiOrNothing<{ Id: string }>("GET", `/images/${encodeURIComponent(reference)}/json`);
    if (found !== undefined) return found.Id;
  }
  throw new Error(`the build succeeded, and yet the engine has no image ${name}`);
}
