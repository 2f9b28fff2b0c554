import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseConfig } from "../../config";
import { isBroken } from "../../freshness/chain";
import { commitVerdict } from "../../freshness/commit";
import { changesBelow, parseChange } from "../../source/changes";
import { resolveCheckout } from "../../source/checkout";
import { pointerOf } from "../../source/largeFiles";
import { prepareSource } from "../../source/prepare";
import { readNamed } from "../../source/upstream";

const DOCKERFILE = `FROM debian:bookworm-slim
ARG GIT_COMMIT_HASH
RUN mkdir -p /app && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
COPY . /app/src
`;
const root = mkdtempSync(join(tmpdir(), "watch-party-commit-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = async (cwd: string, ...args: string[]) => {
  const settings = ["user.name=t", "user.email=t@example.org", "protocol.file.allow=always"];
  const options = settings.flatMap((setting) => ["-c", setting]);
  return (await execa("git", [...options, ...args], { cwd })).stdout;
};
/** A repository with one service, `backend`. */
async function repository(name: string, files: Record<string, string> = {}): Promise<string> {
  const folder = join(root, name);
  mkdirSync(join(folder, "backend"), { recursive: true });
  await run(folder, "init", "--quiet", "--initial-branch", "main");
  return commit(folder, { "backend/Dockerfile": DOCKERFILE, "backend/app.py": "one\n", ...files });
}
async function commit(folder: string, files: Record<string, string>): Promise<string> {
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  await run(folder, "add", "--all");
  await run(folder, "commit", "--quiet", "--allow-empty", "-m", "change");
  return folder;
}
const head = (folder: string) => run(folder, "rev-parse", "HEAD");
const config = (source: string, more: Record<string, unknown> = {}) =>
  parseConfig({ source, services: { backend: {} }, ...more });
let counter = 0;
const contexts = () => join(root, `contexts-${counter++}`);

describe("a working tree", () => {
  let app: string;
  beforeEach(async () => {
    app = await repository(`tree-${counter++}`);
  });
  const said = (folder = app) =>
    resolveCheckout(config(folder)).then(
      ({ identity }) => identity,
      ({ message }: Error) => message,
    );

  it.each(["--assume-unchanged", "--skip-worktree"])(
    "is refused with a change hidden by %s",
    async (flag) => {
      await run(app, "update-index", flag, "backend/app.py");
      expect(await said()).toBe(await head(app));
      writeFileSync(join(app, "backend", "app.py"), "two\n");
      expect(await run(app, "status", "--porcelain")).toBe("");
      expect(await said()).toMatch(
        /^freshness: commit of every service: .*found 1 changed or untracked: {2}M backend\/app\.py \(hidden by update-index --/,
      );
      expect(await said()).toContain(flag);
    },
  );

  it("is refused with a file removed behind --assume-unchanged, not with what a sparse checkout leaves out", async () => {
    await run(app, "update-index", "--skip-worktree", "backend/app.py");
    rmSync(join(app, "backend", "app.py"));
    expect(await said()).toBe(await head(app));
    await run(app, "update-index", "--no-skip-worktree", "backend/app.py");
    await run(app, "update-index", "--assume-unchanged", "backend/app.py");
    expect(await said()).toContain(" D backend/app.py (hidden by update-index --assume-unchanged)");
  });

  it("is deployed with hidden changes, and a sparse checkout does not count as deletions", async () => {
    await commit(app, { "backend/left-out.py": "out\n" });
    await run(app, "update-index", "--skip-worktree", "backend/left-out.py");
    rmSync(join(app, "backend", "left-out.py"));
    await run(app, "update-index", "--assume-unchanged", "backend/app.py");
    writeFileSync(join(app, "backend", "app.py"), "two\n");
    const source = await prepareSource(config(app, { uncommitted: "include" }), contexts());
    expect(source.checkout.identity).toMatch(/^[0-9a-f]{40}-dirty-[0-9a-f]{12}$/);
    expect(readFileSync(join((await source.contexts.backend)!, "app.py"), "utf8")).toBe("two\n");
    expect(readFileSync(join((await source.contexts.backend)!, "left-out.py"), "utf8")).toBe("out\n");
  });

  it("reads a status line of a path with spaces, of a conflict, of a submodule", () => {
    const hash = "a".repeat(40);
    expect(parseChange(`1 .M N... 100644 100644 100644 ${hash} ${hash} a b.txt`)).toEqual([
      { text: " M a b.txt", inSubmodule: false },
    ]);
    expect(parseChange(`u UU N... 100644 100644 100644 100644 ${hash} ${hash} ${hash} x`)).toEqual([
      { text: "UU x", inSubmodule: false },
    ]);
    expect(parseChange(`1 .M SC.. 160000 160000 160000 ${hash} ${hash} sub`)).toEqual([
      { text: " M sub", inSubmodule: false },
    ]);
    expect(parseChange(`1 .M S..U 160000 160000 160000 ${hash} ${hash} sub`)).toEqual([
      { text: " M sub (its own files)", inSubmodule: true },
    ]);
  });
});

describe("a submodule in the context", () => {
  let app: string;
  let part: string;
  beforeEach(async () => {
    part = await repository(`part-${counter++}`);
    app = await repository(`whole-${counter++}`);
    await run(app, "submodule", "--quiet", "add", part, "backend/part");
    await commit(app, {});
  });
  const prepare = (more: Record<string, unknown> = {}) => prepareSource(config(app, more), contexts());

  it("is exported with its files", async () => {
    const source = await prepare();
    expect(readFileSync(join((await source.contexts.backend)!, "part", "backend", "app.py"), "utf8")).toBe(
      "one\n",
    );
    expect(source.inputs.backend!.tree.map(({ path }) => path)).toContain("part/backend/app.py");
  });

  it("is refused at another commit than the recorded one, and deployed if configured", async () => {
    await commit(join(app, "backend", "part"), { "backend/app.py": "two\n" });
    await expect(prepare()).rejects.toThrow(
      /commit of every service: .*found 1 changed or untracked: {2}M backend\/part\. /,
    );
    const source = await prepare({ uncommitted: "include" });
    expect(readFileSync(join((await source.contexts.backend)!, "part", "backend", "app.py"), "utf8")).toBe(
      "two\n",
    );
  });

  it("is refused with its own uncommitted files, which are in no snapshot", async () => {
    writeFileSync(join(app, "backend", "part", "backend", "app.py"), "two\n");
    await expect(prepare()).rejects.toThrow("backend/part (its own files)");
    await expect(prepare({ uncommitted: "include" })).rejects.toThrow(/a submodule has uncommitted changes/);
    await commit(join(app, "backend", "part"), {});
    await commit(app, {});
    const source = await prepare();
    expect(readFileSync(join((await source.contexts.backend)!, "part", "backend", "app.py"), "utf8")).toBe(
      "two\n",
    );
  });

  it("is refused if it is not checked out, unless the build excludes it", async () => {
    const clone = join(root, `clone-${counter++}`);
    await run(root, "clone", "--quiet", app, clone);
    await expect(prepareSource(config(clone), contexts())).rejects.toThrow(
      /^freshness: commit of backend: submodule part cannot be read; expected its commit .*, found no checkout of it\. Run "git submodule update/,
    );
    const checkedOut = join(root, `clone-${counter++}`);
    await run(root, "clone", "--quiet", app, checkedOut);
    await run(checkedOut, "submodule", "--quiet", "update", "--init", "--recursive");
    const whole = await prepareSource(config(checkedOut), contexts());
    expect(whole.inputs.backend!.tree.map(({ path }) => path)).toContain("part/backend/app.py");
    await commit(clone, { "backend/.dockerignore": "part\n" });
    const source = await prepareSource(config(clone), contexts());
    expect(source.inputs.backend!.tree.map(({ path }) => path)).not.toContain("part");
  });

  it("may be the whole context", async () => {
    const outer = await repository(`outer-${counter++}`);
    await run(outer, "submodule", "--quiet", "add", part, "whole");
    await commit(outer, {});
    const services = { backend: { context: "whole", dockerfile: "backend/Dockerfile" } };
    const source = await prepareSource(config(outer, { services }), contexts());
    expect(readFileSync(join((await source.contexts.backend)!, "backend", "app.py"), "utf8")).toBe("one\n");
  });
});

describe("a Git LFS pointer in the context", () => {
  const content = "a large file\n";
  const oid = createHash("sha256").update(content).digest("hex");
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
  const prepare = (app: string) => prepareSource(config(app), contexts());
  const attributes = { ".gitattributes": "*.mp4 filter=lfs diff=lfs merge=lfs -text\n" };
  const isPlain = ["-c", "filter.lfs.clean=cat", "-c", "filter.lfs.required=false"];

  async function large(name: string): Promise<string> {
    const app = await repository(`${name}-${counter++}`);
    for (const [path, text] of Object.entries({ ...attributes, "backend/clip.mp4": pointer }))
      writeFileSync(join(app, path), text);
    await run(app, ...isPlain, "add", "--all");
    await run(app, ...isPlain, "commit", "--quiet", "-m", "large");
    return app;
  }

  it("is refused if its content is missing, and replaced by its content otherwise", async () => {
    const app = await large("lfs");
    await expect(prepare(app)).rejects.toThrow(
      /^freshness: commit of backend: the content of clip\.mp4 is missing, the checkout has only its Git LFS pointer; expected content with sha256 .*git lfs pull/,
    );
    const store = join(app, ".git", "lfs", "objects", oid.slice(0, 2), oid.slice(2, 4));
    mkdirSync(store, { recursive: true });
    writeFileSync(join(store, oid), "not that content\n");
    await expect(prepare(app)).rejects.toThrow("only its Git LFS pointer");
    writeFileSync(join(store, oid), content);
    const source = await prepare(app);
    expect(readFileSync(join((await source.contexts.backend)!, "clip.mp4"), "utf8")).toBe(content);
    const hash = (await execa("git", ["hash-object", "--stdin"], { input: content })).stdout;
    expect(source.inputs.backend!.tree).toContainEqual({ mode: "100644", hash, path: "clip.mp4" });
  });

  it("is an ordinary file without the attribute", async () => {
    const app = await repository(`text-${counter++}`, { "backend/pointer.txt": pointer });
    const source = await prepare(app);
    expect(readFileSync(join((await source.contexts.backend)!, "pointer.txt"), "utf8")).toBe(pointer);
  });

  it("is recognised by its format", () => {
    expect(pointerOf(Buffer.from(pointer))).toBe(oid);
    expect(pointerOf(Buffer.from(pointer.replace("\noid", "\next-0-x sha256:00\noid")))).toBe(oid);
    expect(pointerOf(Buffer.from(`${pointer}${" ".repeat(1024)}`))).toBeUndefined();
    expect(pointerOf(Buffer.from("version 1\n"))).toBeUndefined();
  });
});

describe("a checkout that is behind", () => {
  let origin: string;
  let clone: string;
  beforeEach(async () => {
    origin = await repository(`origin-${counter++}`);
    clone = join(root, `lags-${counter++}`);
    await run(root, "clone", "--quiet", origin, clone);
  });
  const named = async (env: Record<string, string> = {}) => {
    const checkout = await resolveCheckout(config(clone));
    const verdict = commitVerdict(checkout, await readNamed(checkout, env));
    return isBroken(verdict) ? `${verdict.wrong}; ${verdict.expected}` : verdict.found;
  };
  const at = async (words: string) => `commit ${await head(clone)}; ${words}`;

  it("is reported behind its upstream, fetched or not", async () => {
    expect(await named()).toBe(await at("the tip of origin/main"));
    await commit(origin, { "backend/app.py": "two\n" });
    const behind = `the checkout is behind origin/main; commit ${await head(origin)}, the tip of origin/main, or a later one`;
    expect(await named()).toBe(behind);
    await run(clone, "fetch", "--quiet");
    expect(await named()).toBe(behind);
    await run(clone, "merge", "--quiet", "--ff-only", "origin/main");
    expect(await named()).toBe(await at("the tip of origin/main"));
    await expect(prepareSource(config(clone), contexts())).resolves.toBeDefined();
    await commit(origin, { "backend/app.py": "three\n" });
    await expect(prepareSource(config(clone), contexts())).rejects.toThrow(
      /^freshness: commit of every service: the checkout is behind origin\/main; expected .*, found commit .*\. Run "git pull"\./,
    );
    // The configuration names the commit: no remote is contacted.
    const commitNamed = config(clone, { commit: await head(clone) });
    await expect(prepareSource(commitNamed, contexts())).resolves.toBeDefined();
  });

  it("is not reported if HEAD has its own commits, follows no branch, or the remote does not answer", async () => {
    await commit(clone, { "backend/app.py": "mine\n" });
    expect(await named()).toBe(await at("ahead of origin/main"));
    await commit(origin, { "backend/app.py": "theirs\n" });
    const diverged = "upstream not checked: HEAD and origin/main have diverged";
    expect(await named()).toBe(await at(diverged));
    await run(clone, "fetch", "--quiet");
    expect(await named()).toBe(await at(diverged));
    await run(clone, "remote", "set-url", "origin", join(root, "nowhere"));
    expect(await named()).toBe(await at("upstream not checked: origin/main does not answer"));
    await run(clone, "checkout", "--quiet", "--detach");
    expect(await named()).toBe(await at("upstream not checked: HEAD follows no branch of a remote"));
  });

  it("does not wait for a silent remote", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((ready) => silent.listen(0, "127.0.0.1", ready));
    const { port } = silent.address() as { port: number };
    await run(clone, "remote", "set-url", "origin", `http://127.0.0.1:${port}/app.git`);
    const started = performance.now();
    expect(await named()).toBe(await at("upstream not checked: origin/main does not answer"));
    expect(performance.now() - started).toBeLessThan(10_000);
    silent.close();
  });

  it("is reported at another commit than the one that CI names, if CI names this repository", async () => {
    const other = "b".repeat(40);
    const own = await head(clone);
    const wrong = (commit: string) =>
      `the checkout is not at the commit that CI names; commit ${commit} (GITHUB_SHA)`;
    expect(await named({ GITHUB_SHA: other })).toBe(wrong(other));
    expect(await named({ GITHUB_SHA: own })).toBe(`commit ${own}; named by GITHUB_SHA`);
    const ci = { GITHUB_SHA: other, GITHUB_REPOSITORY: "someone/app" };
    expect(await named(ci)).toBe(await at("the tip of origin/main"));
    expect(await named({ ...ci, GITHUB_WORKSPACE: clone })).toBe(wrong(other));
    await run(clone, "remote", "add", "hub", "git@example.org:Someone/app.git");
    expect(await named(ci)).toBe(wrong(other));
    // A newer push may have come since: CI deploys what it was started for.
    await commit(origin, { "backend/app.py": "two\n" });
    expect(await named({ ...ci, GITHUB_SHA: own })).toBe(`commit ${own}; named by GITHUB_SHA`);
    expect(await named({ CI_COMMIT_SHA: other, CI_PROJECT_PATH: "someone/app" })).toContain(
      "(CI_COMMIT_SHA)",
    );
    expect(await named({ GIT_COMMIT: other })).toContain("behind origin/main");
    expect(await named({ GIT_COMMIT: other, JENKINS_URL: "x" })).toContain("(GIT_COMMIT)");
  });

  it("is not reported at the head of the pull request whose merge CI names", async () => {
    const event = join(root, `event-${counter++}.json`);
    writeFileSync(event, JSON.stringify({ pull_request: { head: { sha: await head(clone) } } }));
    const env = { GITHUB_SHA: "b".repeat(40), GITHUB_EVENT_PATH: event };
    expect(await named(env)).toBe(`commit ${await head(clone)}; named by GITHUB_SHA`);
  });
});

it("names a changed link, not its target", async () => {
  const app = await repository(`link-${counter++}`);
  symlinkSync("app.py", join(app, "backend", "link"));
  await commit(app, {});
  await run(app, "update-index", "--assume-unchanged", "backend/link");
  writeFileSync(join(app, "backend", "app.py"), "two\n");
  const changes = await changesBelow(app, "", await head(app));
  expect(changes.map(({ text }) => text)).toEqual([" M backend/app.py"]);
});
