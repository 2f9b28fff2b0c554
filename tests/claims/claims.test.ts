import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseConfig } from "../../config";
import { pruneCommand } from "../../engine/prune";
import { cacheFindings } from "../../freshness/cache";
import { dockerfileFindings, sourceSteps } from "../../freshness/dockerfile";
import { TestApp } from "../support/app";
import { type Outcome, TestStack } from "../support/stack";

// The twelve claims that were made of the flow that this project replaces, each held against what it is about.

const PROJECT = resolve(__dirname, "..", "..");
const IMAGE = "docker:index/image:Image";
const SERVICES = ["frontend", "backend"];

const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const dockerfileOf = (service: string) => read(`examples/watch-party/${service}/Dockerfile`);
/** What the rules have to know of a service of the example. */
const inputOf = (service: string, dockerfile = dockerfileOf(service)) => ({
  ...{ service, path: "Dockerfile", dockerfile, args: {}, commitFile: "/app/COMMIT" },
});

/** One deploy, and another of a later commit. */
interface Story {
  readonly commits: readonly [string, string];
  readonly outcomes: readonly [Outcome, Outcome];
  readonly outputs: readonly [Record<string, unknown>, Record<string, unknown>];
  /** The resources as they are in the state now. */
  readonly state: readonly State[];
  readonly command: TestStack["command"];
}

/** What the claims read of a resource's state. */
interface State {
  readonly type: string;
  readonly dependencies?: readonly string[];
  readonly inputs: {
    readonly imageName: string;
    readonly build: { readonly args: Readonly<Record<string, string>> };
  };
}

let app: TestApp;
let stack: TestStack | undefined;
let told: Promise<Story> | undefined;
const tags: string[] = [];

beforeAll(async () => {
  app = await TestApp.create();
});
afterAll(async () => {
  if (tags.length > 0) await execa("docker", ["image", "rm", "--force", ...tags], { reject: false });
  await stack?.remove();
  app?.remove();
});

/** The deploys are made once, by the first claim that needs them. */
function story(): Promise<Story> {
  told ??= (async () => {
    const made = await TestStack.create({ source: app.folder });
    stack = made;
    const deployed = async () => {
      const outcome = await made.up();
      if (!outcome.ok) throw new Error(outcome.said);
      return { commit: await app.git("rev-parse", "HEAD"), outcome, outputs: await made.outputs() };
    };
    const first = await deployed();
    await app.commit({ "frontend/message.txt": "hello v2\n", "backend/message.txt": "hello v2\n" });
    const second = await deployed();
    return {
      commits: [first.commit, second.commit],
      outcomes: [first.outcome, second.outcome],
      outputs: [first.outputs, second.outputs],
      state: JSON.parse(made.state()).checkpoint.latest.resources,
      command: (...words) => made.command(...words),
    };
  })();
  return told;
}

/** The images of a stack's outputs: service → digest. */
const imagesOf = (outputs: Record<string, unknown>) => outputs.images as Record<string, string>;

describe("cache busting", () => {
  it("ARG GIT_COMMIT_HASH reaches every layer made from source, in both Dockerfiles", () => {
    for (const service of SERVICES) {
      const dockerfile = dockerfileOf(service);
      expect(dockerfileFindings(inputOf(service))).toEqual([]);
      const steps = sourceSteps(inputOf(service)).filter(({ from }) => from === "context");
      expect(steps.map(({ reruns }) => reruns)).toEqual([true]);
      // The ARG alone, which the claim was once made of, reaches none.
      const withoutRun = dockerfile.replace(/^RUN test -n .*\n/m, "");
      expect(withoutRun).toMatch(/^ARG GIT_COMMIT_HASH$/m);
      expect(sourceSteps(inputOf(service, withoutRun))[0]).toMatchObject({ from: "context", reruns: false });
    }
  });

  it("the commit hash is taken from git and passed to both builds", async () => {
    const { commits, outputs, state } = await story();
    expect(outputs.map(({ commit }) => commit)).toEqual(commits);
    const builds = state.filter(({ type }) => type === IMAGE);
    expect(builds.map(({ inputs }) => inputs.imageName)).toEqual(
      expect.arrayContaining(SERVICES.map((service) => expect.stringContaining(`-${service}:`))),
    );
    for (const { inputs } of builds) expect(inputs.build.args.GIT_COMMIT_HASH).toBe(commits[1]);
  });

  it("a new commit rebuilds both images", async () => {
    const { outcomes, outputs } = await story();
    const [before, after] = outputs.map(imagesOf);
    for (const service of SERVICES) {
      expect(outcomes[1].changes[`Image ${service}`]).toBe("create-replacement");
      expect(after![service]).toMatch(/^sha256:/);
      expect(after![service]).not.toBe(before![service]);
    }
  });

  it("a COPY of sources never comes from the cache", async () => {
    // Commits of their own, for a cache may know those of an earlier run.
    const commits = [randomBytes(20).toString("hex"), randomBytes(20).toString("hex")];
    for (const service of SERVICES) {
      let said = "";
      for (const commit of commits) {
        const tag = `watch-party-claims-${service}:${commit.slice(0, 12)}`;
        tags.push(tag);
        const args = ["--progress=plain", "--build-arg", `GIT_COMMIT_HASH=${commit}`, "--tag", tag];
        const build = ["build", ...args, join(app.folder, service)];
        said = (await execa("docker", build, { all: true, env: { DOCKER_BUILDKIT: "1" } })).all ?? "";
      }
      const step = /^#(\d+) \[.*\] COPY \. \.$/m.exec(said)?.[1];
      expect(step).toBeDefined();
      expect(said).toMatch(new RegExp(`^#${step} DONE`, "m"));
      expect(said).not.toMatch(new RegExp(`^#${step} CACHED`, "m"));
    }
  });

  it("the commit is in the image", async () => {
    const { commits, outputs } = await story();
    const images = imagesOf(outputs[1]);
    for (const service of SERVICES) {
      const run = [
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "cat",
        images[service]!,
        "/app/COMMIT",
      ];
      expect((await execa("docker", run)).stdout).toBe(commits[1]);
    }
  });

  it("the deploy script is valid shell", async () => {
    for (const scope of ["prune", "purge"] as const)
      await execa("sh", ["-n"], { input: pruneCommand(scope, "0123456789ab") });
    const { stdout } = await execa("git", ["ls-files", "*.sh", ".ci/run"], { cwd: PROJECT });
    const scripts = stdout.split("\n");
    expect(scripts.length).toBeGreaterThan(1);
    for (const script of scripts) await execa("bash", ["-n", script], { cwd: PROJECT });
    // The check can tell: this is none.
    await expect(execa("sh", ["-n"], { input: "if true; then echo" })).rejects.toThrow();
  });
});

describe("cache fix", () => {
  it("BUILDKIT_INLINE_CACHE appears in no file", async () => {
    for (const service of SERVICES) {
      expect(cacheFindings(inputOf(service))).toEqual([]);
      const args = { BUILDKIT_INLINE_CACHE: "1" };
      expect(() => parseConfig({ services: { [service]: { args } } })).toThrow(
        "BUILDKIT_INLINE_CACHE is set",
      );
    }
    for (const { type, inputs } of (await story()).state)
      if (type === IMAGE) expect(JSON.stringify(inputs)).not.toMatch(/BUILDKIT_INLINE_CACHE|cacheFrom/);
    // The compose file as it was before the fix is refused for it, once a service.
    const compose = [
      { path: "docker-compose.yml", text: read("tests/fixtures/original/docker-compose.yml") },
    ];
    const found = cacheFindings({ ...inputOf("frontend"), compose }).map((finding) => finding.found);
    expect(found).toEqual(["BUILDKIT_INLINE_CACHE", "BUILDKIT_INLINE_CACHE"]);
  });

  it("the build cache is pruned before both builds", async () => {
    const { outcomes } = await story();
    for (const { order } of outcomes) {
      const at = (resource: string, moment: string) =>
        order.findIndex((step) => step.resource === resource && step.moment === moment);
      expect(at("Command prune", "ends")).toBeGreaterThanOrEqual(0);
      for (const service of SERVICES)
        expect(at("Command prune", "ends")).toBeLessThan(at(`Image ${service}`, "begins"));
    }
  });

  it("a failed prune fails the deploy", async () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-claims-"));
    try {
      const stub = 'case "$1" in builder) echo "the prune failed on purpose" >&2; exit 1;; esac\n';
      writeFileSync(join(folder, "docker"), `#!/bin/sh\n${stub}`, { mode: 0o755 });
      for (const scope of ["prune", "purge"] as const) {
        const { exitCode, stdout, stderr } = await execa("sh", ["-c", pruneCommand(scope, "0123456789ab")], {
          env: { PATH: `${folder}:${process.env.PATH}` },
          reject: false,
        });
        expect(exitCode).not.toBe(0);
        expect(stderr).toContain("the prune failed on purpose");
        expect(stdout).not.toContain("Pruned at");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    // Each image waits for that command, and is not built where it fails (tests/engine/deploy.test.ts).
    const images = (await story()).state.filter(({ type }) => type === "watch-party:index:FreshImage");
    expect(images).toHaveLength(SERVICES.length);
    for (const { dependencies } of images)
      expect(dependencies).toContainEqual(expect.stringMatching(/Command::prune$/));
  });

  it("clear-caches for all also prunes Docker", async () => {
    const { command } = await story();
    const clear = async (target: string) => {
      const { status, stdout, stderr } = await command("clear-caches", target, "--dry-run");
      expect(`${target}: ${status}${status === 0 ? "" : ` ${stderr}`}`).toBe(`${target}: 0`);
      return stdout + stderr;
    };
    expect(await clear("all")).toMatch(/docker builder prune -f/);
    for (const service of SERVICES) expect(await clear(service)).not.toMatch(/builder prune/);
  });

  it("the space reclaimed is reported", async () => {
    const { outcomes, outputs } = await story();
    for (const at of [0, 1] as const) {
      expect(outcomes[at].said).toMatch(/Total reclaimed space: [\d.]+ ?[kKMGT]?i?B/);
      expect(outputs[at].pruned).toEqual({
        text: expect.stringMatching(/^[\d.]+[kKMGT]?i?B$/),
        bytes: expect.any(Number),
      });
    }
  });

  it("the log reports the prune and the commit that is built", async () => {
    const { commits, outcomes } = await story();
    for (const at of [0, 1] as const) {
      expect(outcomes[at].said).toContain("Pruning Docker build cache…");
      expect(outcomes[at].said).toContain(`Building from commit: ${commits[at].slice(0, 7)}`);
    }
  });
});
