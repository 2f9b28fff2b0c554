import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { takeBuildLock } from "../../engine/buildLock";
import { DockerEngine } from "../../engine/docker";
import { TestApp } from "../support/app";
import { DockerShim } from "../support/dockerShim";
import { EngineProxy } from "../support/engineProxy";
import { inMatrix, timed } from "../support/matrix";
import { TestStack } from "../support/stack";
import { until } from "../support/swarm";

const docker = async (...args: string[]) => (await execa("docker", args)).stdout.trim();
const LOCK = "watch-party-build-lock";

/** One stack on an engine that others use too. */
describe("an engine that several stacks share", () => {
  const shim = new DockerShim();
  let app: TestApp;
  let stack: TestStack;
  let proxy: EngineProxy;

  beforeAll(async () => {
    app = await TestApp.create();
    // As a build ID: each build of the same files makes another one.
    const dockerfile = app
      .read("frontend/Dockerfile")
      .replace(/^COPY \. \.$/m, "$&\nRUN cat /proc/sys/kernel/random/uuid > /app/src/BUILD_ID");
    await app.commit({ "frontend/Dockerfile": dockerfile });
    proxy = await EngineProxy.start();
    stack = await TestStack.create({ source: app.folder }, { PATH: shim.path, DOCKER_HOST: proxy.host });
  });
  afterAll(async () => {
    await stack?.remove();
    await proxy?.remove();
    app?.remove();
    shim.remove();
  });

  const served = async () => (await fetch(`${stack.url}/api/hello`)).text();

  it.each([
    ["prunes the build cache", ":"],
    ["prunes everything, the stage's image too", 'docker image rm --force "$stage" > /dev/null'],
  ])(
    "a deploy succeeds even if another user %s between the builds of a stage and of its image",
    async (_, more) => {
      const text = `hello ${Math.random()}\n`;
      await app.commit({ "backend/message.txt": text });
      const name = `watch-party-${stack.name}-frontend`;
      const once = join(app.folder, ".git", `pruned-${Math.random()}`);
      const prune = `[ -e ${once} ] || { : > ${once}; docker builder prune -af > /dev/null; ${more}; }`;
      // A plugin builds by a command or by the engine's API.
      const undo = await shim.install(`
case "$*" in
  *"--tag ${name}:"*)
    stage=$(echo "$*" | grep -o "${name}:[^ ]*" | sed "s,:,/builder:,"); PATH="\${PATH#*:}"
    ${prune} ;;
esac`);
      const image = new RegExp(`/build\\?.*[?&]t=${name}:([^& ]+)`);
      proxy.beforeEach(async (request) => {
        const [, tag] = image.exec(request) ?? [];
        if (tag !== undefined) await execa("sh", ["-c", prune], { env: { stage: `${name}/builder:${tag}` } });
      });
      try {
        const { ok, said } = await stack.up();
        expect(ok ? "" : said).toBe("");
        expect(said).toMatch(/frontend: somebody removed .* while it was built .*; it is built once more/);
      } finally {
        proxy.beforeEach(undefined);
        await undo();
      }
      expect(await served()).toBe(text);
      expect((await stack.verify()).status).toBe(0);
      // What was built once more is known: nothing changes.
      expect((await stack.up()).changes).toEqual({});
    },
  );

  it("a retry rebuilds an image that failed its proof", () =>
    inMatrix(
      { into: "deploy", fault: "a retry finds the image that failed its proof", link: "bytes" },
      async (row) => {
        const before = await served();
        await app.commit({ "backend/message.txt": "hello retry\n" });
        const undo = await shim.install(shim.contextGoesThrough('echo old > "$to/old.py"'));
        const refused = await timed(row, () => stack.up()).finally(undo);
        expect(refused.said).toMatch(
          /freshness: bytes of backend: .*found 1 not in the commit: \/app\/src\/old\.py/s,
        );
        expect(refused.ok).toBe(false);
        expect(await served()).toBe(before);
        row.detected = true;
        row.twin = false;
        const { ok, said, changes } = await stack.up();
        expect(ok ? "" : said).toBe("");
        expect(changes).toMatchObject({
          "Command prune": "create-replacement",
          "Image backend": "create-replacement",
          "Image frontend": "create-replacement",
        });
        expect(await served()).toBe("hello retry\n");
        row.twin = true;
      },
    ));

  it("a build waits for another stack's build, names it, and continues when it ends", async () => {
    const said: string[] = [];
    const hear = (text: string) => void said.push(text);
    const other = await takeBuildLock(new DockerEngine(), { stack: "other", say: hear, warn: hear });
    await app.commit({ "backend/message.txt": "hello lock\n" });
    let heard = "";
    const deploying = stack.up({}, (text) => {
      heard += text;
    });
    await until("the deploy to wait", async () => heard.includes("waiting for stack other's build"));
    expect(heard).not.toContain("Pruning Docker build cache");
    await other.release();
    const { ok, said: all } = await deploying;
    expect(ok ? "" : all).toBe("");
    expect(all).toMatch(/waiting for stack other's build on this engine, since \S+Z \(\S+@\S+\)/);
    expect(said).toEqual([]);
    await until(
      "its own lock to be freed",
      async () => (await docker("ps", "--all", "--quiet", "--filter", `name=${LOCK}`)) === "",
    );
  });

  it("the lock is free as soon as its holder is killed", async () => {
    const script = `
      const { takeBuildLock } = require("./engine/buildLock");
      const { DockerEngine } = require("./engine/docker");
      takeBuildLock(new DockerEngine(), { stack: "killed", say: console.log, warn: console.log })
        .then(() => { console.log("held"); setInterval(() => {}, 1000); });`;
    const holder = execa(process.execPath, ["--require", "./toolchain/program.js", "-e", script], {
      cwd: join(__dirname, "..", ".."),
      reject: false,
    });
    await new Promise((held) => holder.stdout?.once("data", held));
    expect(await docker("ps", "--format", "{{.Names}}", "--filter", `name=${LOCK}`)).toBe(LOCK);
    holder.kill("SIGKILL");
    const started = performance.now();
    const said: string[] = [];
    const next = await takeBuildLock(new DockerEngine(), {
      stack: "next",
      say: (text) => said.push(text),
      warn: (text) => said.push(text),
    });
    expect(performance.now() - started).toBeLessThan(10_000);
    await next.release();
  });

  it("the deploy waits for the lock for a limited time and continues", async () => {
    const said: string[] = [];
    const options = { say: (text: string) => said.push(text), warn: (text: string) => said.push(text) };
    const other = await takeBuildLock(new DockerEngine(), { stack: "other", ...options });
    const own = await takeBuildLock(new DockerEngine(), { stack: "own", minutes: 0.02, ...options });
    expect(said.at(-1)).toMatch(
      /stack other has this engine .* after 0.02 minutes this deploy goes on beside it/,
    );
    await own.release();
    await other.release();
  });
});
