import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { type Outcome, TestStack } from "../support/stack";

const docker = async (...args: string[]) => (await execa("docker", args)).stdout.trim();

/** One story on a real engine: each step begins where the one before it ended. */
describe("a stage that installs dependencies", () => {
  let app: TestApp;
  let stack: TestStack;
  const base = `watch-party-test-base:${Math.random().toString(36).slice(2)}`;
  /** "Installs": what it leaves is another thing each time it runs. */
  const dockerfile = (service: string) => `ARG BASE=${base}
FROM \${BASE} AS deps
WORKDIR /app/src
COPY requirements.txt ./
RUN cat /proc/sys/kernel/random/uuid > /app/installed

# The sources.
FROM deps AS builder
ARG GIT_COMMIT_HASH
RUN test -n "$GIT_COMMIT_HASH" && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
COPY . .
RUN cat /proc/sys/kernel/random/uuid > /app/built

FROM python:3.11-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1
COPY --from=builder /app /app
USER 10001:10001
CMD ["python3", "-S", "/app/src/server.py"]
# ${service}
`;

  beforeAll(async () => {
    await docker("image", "tag", "python:3.11-slim-bookworm", base);
    app = await TestApp.create();
    await app.commit({
      "frontend/Dockerfile": dockerfile("frontend"),
      "frontend/requirements.txt": "left-pad==1.0.0\n",
    });
    stack = await TestStack.create({
      source: app.folder,
      services: { frontend: { dependencyStage: "deps" }, backend: {} },
    });
  });
  afterAll(async () => {
    if (stack) await stack.remove();
    app?.remove();
    await execa("docker", ["image", "rm", "--force", base], { reject: false });
  });

  const deployed = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const inFrontend = async (file: string) =>
    docker("exec", await stack.container("frontend"), "cat", `/app/${file}`);
  const held = async () =>
    (
      await docker("image", "ls", "--format", "{{.Tag}}", `watch-party-${stack.name}-frontend.dependencies`)
    ).split("\n");

  it("is an image of its own, built after the prune and before the service's", async () => {
    const { changes, order } = await deployed(stack.up());
    expect(changes["Image frontend.dependencies"]).toBe("create");
    const at = (resource: string, moment: string) =>
      order.findIndex((each) => each.resource === resource && each.moment === moment);
    expect(at("Image frontend.dependencies", "begins")).toBeGreaterThan(at("Command prune", "ends"));
    expect(at("Image frontend.dependencies", "ends")).toBeLessThan(at("Image frontend-builder", "begins"));
    expect(await held()).toHaveLength(1);
  });

  it("survives the prune: a new commit installs nothing and rebuilds every layer from source", async () => {
    const before = [await inFrontend("installed"), await inFrontend("built")];
    const commit = await app.commit({ "frontend/message.txt": "two" });
    const { changes } = await deployed(stack.up());
    expect(changes["Image frontend.dependencies"]).toBeUndefined();
    expect(changes["Command prune"]).toBe("create-replacement");
    expect(await inFrontend("COMMIT")).toBe(commit);
    expect(await inFrontend("installed")).toBe(before[0]);
    expect(await inFrontend("built")).not.toBe(before[1]);
  });

  it("is reused with the proven images after containers did not start and only a run option changes", async () => {
    const services = (backend: object) => ({ frontend: { dependencyStage: "deps" }, backend });
    const commit = await app.commit({ "frontend/message.txt": "two and a half" });
    await stack.configure({ services: services({ health: "/nowhere", startSeconds: 3 }) });
    const failed = await stack.up();
    expect(failed.ok).toBe(false);
    expect(failed.said).toMatch(/freshness: container of backend: /);
    const tag = `watch-party-${stack.name}-frontend:${commit.slice(0, 12)}`;
    const image = await docker("image", "inspect", "--format", "{{.Id}}", tag);
    const built = (changes: Outcome["changes"]) =>
      Object.entries(changes).filter(
        ([name, op]) => /^(Image|Command)/.test(name) && !op.startsWith("delete"),
      );

    await stack.configure({ services: services({ startSeconds: 60 }) });
    const { said, changes } = await deployed(stack.up());
    expect(said).toContain("the images of the deploy that failed are used again");
    expect(built(changes)).toEqual([]);
    expect(await inFrontend("COMMIT")).toBe(commit);
    expect(await docker("image", "inspect", "--format", "{{.Id}}", tag)).toBe(image);
    expect((await deployed(stack.up())).changes).toEqual({});

    // One that is not the proven one any more is not used.
    await app.commit({ "frontend/message.txt": "two and three quarters" });
    await stack.configure({ services: services({ health: "/nowhere", startSeconds: 3 }) });
    expect((await stack.up()).ok).toBe(false);
    const head = (await app.git("rev-parse", "HEAD")).slice(0, 12);
    await docker("image", "tag", image, `watch-party-${stack.name}-frontend:${head}`);
    await stack.configure({ services: services({}) });
    const again = await deployed(stack.up());
    expect(built(again.changes).map(([name]) => name)).toEqual(
      expect.arrayContaining(["Command prune", "Image frontend", "Image backend"]),
    );
    expect(await inFrontend("COMMIT")).toBe(await app.git("rev-parse", "HEAD"));
  });

  it("does not change in an `up` without changes", async () => {
    expect((await deployed(stack.up())).changes).toEqual({});
  });

  it("is rebuilt by a new lockfile, and the old image is removed with its releases", async () => {
    const before = await inFrontend("installed");
    await app.commit({ "frontend/requirements.txt": "left-pad==1.1.0\n" });
    await stack.configure({ keepReleases: "2" });
    const { changes } = await deployed(stack.up());
    expect(changes["Image frontend.dependencies"]).toBe("create-replacement");
    expect(await inFrontend("installed")).not.toBe(before);
    expect(await held()).toHaveLength(2);
  });

  it("is tagged again by the deploy after one with an emptied cache", async () => {
    await docker("builder", "prune", "-af");
    await app.commit({ "frontend/message.txt": "three" });
    expect((await deployed(stack.up())).changes["Image frontend.dependencies"]).toBeUndefined();
    await app.commit({ "frontend/message.txt": "four" });
    expect((await deployed(stack.up())).changes["Image frontend.dependencies"]).toBe("create-replacement");
    const before = await inFrontend("installed");
    await app.commit({ "frontend/message.txt": "five" });
    expect((await deployed(stack.up())).changes["Image frontend.dependencies"]).toBeUndefined();
    expect(await inFrontend("installed")).toBe(before);
    expect(await held()).toHaveLength(1);
  });

  it("warns of a changed base image, and keeps serving the proven release", async () => {
    const before = await inFrontend("built");
    await execa("docker", ["build", "--tag", base, "-"], {
      input: `FROM python:3.11-slim-bookworm\nLABEL another=${base}\n`,
    });
    const { said, changes } = await deployed(stack.up());
    expect(said).toMatch(
      new RegExp(
        `base image ${base}: changed on the engine since the release was built \\(was sha256:\\w+, now sha256:\\w+\\)`,
      ),
    );
    expect(changes).toEqual({});
    expect(await inFrontend("built")).toBe(before);
  });

  it("is rebuilt on the new base image with `baseImages: update`, including dependencies", async () => {
    const before = [await inFrontend("installed"), await inFrontend("built")];
    await stack.configure({ baseImages: "update" });
    const { changes } = await deployed(stack.up());
    expect(changes["Image frontend.dependencies"]).toBe("create-replacement");
    expect(await inFrontend("installed")).not.toBe(before[0]);
    expect(await inFrontend("built")).not.toBe(before[1]);
    expect((await deployed(stack.up())).changes).toEqual({});
  });

  it("is refused before any build if it copies source", async () => {
    const text = app
      .read("frontend/Dockerfile")
      .replace("COPY requirements.txt", "COPY requirements.txt server.py");
    await app.commit({ "frontend/Dockerfile": text });
    const { ok, said, changes } = await stack.up();
    expect(ok).toBe(false);
    expect(said).toMatch(
      /freshness: dockerfile of frontend: .*frontend\/Dockerfile:4: COPY brings source into dependency stage "deps", whose layers are kept through the prune/,
    );
    expect(changes["Command prune"]).toBeUndefined();
  });
});
