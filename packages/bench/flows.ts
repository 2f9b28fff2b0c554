import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import execa from "execa";
import { OriginalFlow } from "../../tests/support/original";
import { TestStack } from "../../tests/support/stack";
import { BenchApp } from "./apps";
import type { App, Flow } from "./results";

const PROJECT = resolve(__dirname, "..", "..");
/** A command that takes longer hangs. */
const MOST_MINUTES = 20;

/** Something that deploys, or a floor to measure it against. */
export interface Deployer {
  readonly flow: Flow;
  /** Undefined if nothing changes. */
  readonly app?: BenchApp;
  /** Where the page is served; undefined where nothing is, or not yet. */
  url(): string | undefined;
  deploy(): Promise<void>;
  /** The same by `pulumi up` alone, with the preview that it makes first; undefined for a flow without Pulumi. */
  pulumi?(): Promise<void>;
  /** Goes back to the release before; undefined for a flow that cannot. */
  rollback?(): Promise<void>;
  /** What a pull request is shown; undefined for a flow that has nothing of the kind. */
  preview?(): Promise<void>;
  /** The seconds of each step of the last deploy. */
  steps?(): Promise<Record<string, number>>;
  remove(): Promise<void>;
}

export async function openFlow(flow: Flow, kind: App): Promise<Deployer> {
  if (flow === "empty") return openEmpty();
  const app = await BenchApp.create(kind, flow);
  if (flow === "own") return openOwn(app);
  if (flow === "framework") return openFramework(app);
  const original = new OriginalFlow(app.repository.folder, {}, flow === "purging" ? "-af" : "-f");
  const isBuild = flow === "build";
  let ran = false;
  return {
    flow,
    app,
    url: () => (ran ? original.url : undefined),
    deploy: async () => {
      // What a build alone does not replace is served on: the machine has as much to do beside it.
      await (isBuild && ran ? original.build() : original.run());
      ran = true;
    },
    remove: async () => {
      await original.remove();
      app.remove();
    },
  };
}

/** This program as CI runs it: a process of the command `up`. */
async function openOwn(app: BenchApp): Promise<Deployer> {
  const stack = await TestStack.create({ source: app.repository.folder, services: app.services });
  let ran = false;
  const command = async (name: string) => {
    const { status, stdout, stderr } = await stack.command(name);
    if (status !== 0) throw new Error(`${name} ends with ${status}: ${stderr || stdout}`);
  };
  return {
    flow: "own",
    app,
    url: () => (ran ? stack.url : undefined),
    deploy: async () => {
      await command("up");
      ran = true;
    },
    pulumi: () => pulumiIn(stack.folder, stack.env, "up", "--yes", "--stack", stack.name),
    preview: () => pulumiIn(stack.folder, stack.env, "preview", "--stack", stack.name),
    rollback: () => command("rollback"),
    steps: async () => (await stack.outputs()).seconds as Record<string, number>,
    remove: async () => {
      await stack.remove();
      app.remove();
    },
  };
}

/** The floor of a build: the framework's own, in a container that has all it needs. */
async function openFramework(app: BenchApp): Promise<Deployer> {
  const image = `bench-framework-${process.pid}`;
  const docker = (...args: string[]) => execa("docker", args, { timeout: MOST_MINUTES * 60_000 });
  const commit = await app.repository.git("rev-parse", "HEAD");
  const args = ["--quiet", "--target", "builder", "--build-arg", `GIT_COMMIT_HASH=${commit}`];
  const folder = join(app.repository.folder, "frontend");
  await execa("docker", ["build", ...args, "--tag", image, folder], { env: { DOCKER_BUILDKIT: "1" } });
  return {
    flow: "framework",
    app,
    url: () => undefined,
    deploy: async () => {
      await docker("run", "--rm", image, "sh", "-c", "rm -rf .next && npm run build");
    },
    remove: async () => {
      await execa("docker", ["image", "rm", "--force", image], { reject: false });
      app.remove();
    },
  };
}

/** The floor of Pulumi: a program that declares nothing. */
async function openEmpty(): Promise<Deployer> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-empty-"));
  const env = { PULUMI_BACKEND_URL: `file://${join(folder, ".state")}`, PULUMI_CONFIG_PASSPHRASE: "bench" };
  mkdirSync(join(folder, ".state"));
  symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"name":"empty","main":"index.js"}');
  writeFileSync(join(folder, "index.js"), 'require("@pulumi/pulumi");\n');
  const options = "    typescript: false\n";
  writeFileSync(
    join(folder, "Pulumi.yaml"),
    `name: empty\nmain: index.js\nruntime:\n  name: nodejs\n  options:\n${options}`,
  );
  const pulumi = (...args: string[]) => pulumiIn(folder, env, ...args);
  await pulumi("stack", "init", "empty");
  return {
    flow: "empty",
    url: () => undefined,
    deploy: () => pulumi("up", "--yes", "--skip-preview", "--stack", "empty"),
    pulumi: () => pulumi("up", "--yes", "--stack", "empty"),
    preview: () => pulumi("preview", "--stack", "empty"),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function pulumiIn(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<void> {
  await execa("pulumi", [...args, "--non-interactive"], { cwd: folder, env });
}
