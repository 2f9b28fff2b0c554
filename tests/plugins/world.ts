/** What the contract needs of the machine: a docker engine with a small image, an ssh server, unique names. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CallError } from "./client";

const exec = promisify(execFile);

/** Everything that a run creates has its mark in the name, and as a label if labels are supported. */
export const mark = `contract-${randomBytes(4).toString("hex")}`;
export const labels = [{ label: "contract", value: mark }];

/** Runs the docker CLI and returns what it prints. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await exec("docker", args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** A folder that is removed by `cleanUp`. */
export async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), `${mark}-`));
  leftovers.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

const leftovers: (() => Promise<unknown>)[] = [];

/** Undoes everything in reverse order, and removes what carries the mark. */
export async function cleanUp(): Promise<void> {
  for (const undo of leftovers.splice(0).reverse()) await undo();
}

/** Removes containers, networks, volumes and images of this run; for suites that use docker. */
export async function removeMarked(): Promise<void> {
  const filter = ["--filter", `label=contract=${mark}`];
  const each = async (list: string[], remove: string[]): Promise<void> => {
    const found = (await docker(...list)).split("\n").filter((line) => line !== "");
    if (found.length > 0) await docker(...remove, ...new Set(found));
  };
  await each(["ps", "-aq", ...filter], ["rm", "-fv"]);
  await each(["ps", "-aq", "--filter", `name=${mark}`], ["rm", "-fv"]);
  await each(["network", "ls", "-q", ...filter], ["network", "rm"]);
  await each(["volume", "ls", "-q", ...filter], ["volume", "rm"]);
  await each(["images", "-q", "--no-trunc", ...filter], ["rmi", "-f"]);
  await each(["images", "--format", "{{.Repository}}:{{.Tag}}", `${mark}*`], ["rmi", "-f"]);
  await each(["images", "--format", "{{.Repository}}:{{.Tag}}", `${mark}/*`], ["rmi", "-f"]);
}

/**
 * An image with a shell, made in under a second: the base image of the project where the engine has it, else the static
 * busybox of this machine, else whatever the registry gives for that name.
 */
export async function baseImage(): Promise<string> {
  const usual = "debian:bookworm-slim";
  const has = await docker("image", "inspect", "--format", "{{.Id}}", usual).then(
    () => true,
    () => false,
  );
  const busybox = "/bin/busybox";
  if (has || !existsSync(busybox)) return usual;
  const tree = await folder();
  await mkdir(join(tree, "bin"));
  for (const each of ["tmp", "etc", "data", "dev", "proc", "sys"]) await mkdir(join(tree, each));
  await copyFile(busybox, join(tree, "bin/busybox"));
  for (const applet of ["sh", "sleep", "cat", "echo", "true", "test"]) {
    await symlink("busybox", join(tree, "bin", applet));
  }
  const archive = join(await folder(), "base.tar");
  await exec("tar", ["-C", tree, "-cf", archive, "."]);
  const name = `${mark}-base:latest`;
  await docker("import", "--change", "ENV PATH=/bin", archive, name);
  return name;
}

/** A build context: a Dockerfile that sleeps, and one file. */
export async function context(base: string, into: string, dockerfile?: string): Promise<void> {
  await mkdir(into, { recursive: true });
  await writeFile(
    join(into, "Dockerfile"),
    dockerfile ??
      [
        `FROM ${base}`,
        `LABEL contract=${mark}`,
        "ARG GIT_COMMIT_HASH",
        'RUN echo "$GIT_COMMIT_HASH" > /commit',
        "COPY app.txt /app.txt",
        'CMD ["sleep", "600"]',
        "",
      ].join("\n"),
  );
  await writeFile(join(into, "app.txt"), "one\n");
}

/** Builds the image in which the containers of a suite run, and returns its ID. */
export async function sleepingImage(): Promise<string> {
  const made = await folder();
  await context(await baseImage(), made);
  const name = `${mark}-sleeper:latest`;
  // The engine's own builder is all it takes, and needs no component of the CLI.
  await exec("docker", ["build", "-q", "-t", name, made], { env: { ...process.env, DOCKER_BUILDKIT: "0" } });
  return docker("image", "inspect", "--format", "{{.Id}}", name);
}

/** A port that something holds until `close`. */
export async function takenPort(): Promise<{ port: number; close: () => Promise<void> }> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** The message of a call that must fail, and the state that it left. */
export async function failure(work: Promise<unknown>): Promise<CallError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError))
    throw new Error(`should have failed in the plugin, but: ${error ?? "succeeded"}`);
  return error;
}
