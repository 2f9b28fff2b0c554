import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { SmallEngine } from "../support/engine";
import { freePort, type Outcome, TestStack } from "../support/stack";

/** One story on an engine whose disk is small: each step begins where the one before it ended. */
describe("an engine with a small disk", () => {
  let engine: SmallEngine;
  let app: TestApp;
  let stack: TestStack;
  let url: string;
  let commit: string;

  beforeAll(async () => {
    engine = await SmallEngine.start(1400, ["python:3.11-slim-bookworm", "caddy:2.11"]);
    app = await TestApp.create();
    const listen = `${engine.address}:${await freePort()}`;
    url = `http://${listen}`;
    const services = { frontend: { startSeconds: 10 }, backend: { startSeconds: 10 } };
    stack = await TestStack.create({ source: app.folder, services, listen }, { DOCKER_HOST: engine.host });
    commit = await app.git("rev-parse", "HEAD");
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    await engine?.remove();
  });

  const served = () =>
    Promise.all(
      ["frontend", "backend"].map(async (name) => {
        const response = await fetch(`${url}/.freshness/${name}`);
        return ((await response.json()) as { commit: string }).commit;
      }),
    );
  const deployed = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  /** The ids of all containers and images; the engine lists those of one second in any order. */
  const everything = async () => {
    const lists = await Promise.all([
      engine.docker("container", "ls", "--all", "--quiet", "--no-trunc"),
      engine.docker("image", "ls", "--all", "--quiet", "--no-trunc"),
    ]);
    return lists.map((list) => list.split("\n").sort());
  };
  /** Nothing was pruned, built or made, by what was said and by what the engine has. */
  const refusesUntouched = async () => {
    const before = await everything();
    const outcome = await stack.up();
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toMatch(
      /too little disk for one more release: 2\d\d MiB free where the engine keeps its images, \d+ MiB needed; lower watch-party:keepReleases, or make room with "docker system prune"/,
    );
    expect(outcome.said).not.toContain("Pruning");
    expect(Object.keys(outcome.changes).filter((name) => /^(Command|Image|Container)/.test(name))).toEqual(
      [],
    );
    expect(await everything()).toEqual(before);
  };

  it("refuses a deploy while it lacks the space for a release", async () => {
    await engine.fill(250);
    await refusesUntouched();
    engine.empty();
  });

  it("serves once it has the space", async () => {
    await deployed(stack.up());
    expect(await served()).toEqual([commit, commit]);
  });

  it("keeps serving while it lacks the space for the next release, and deploys without a build", async () => {
    await engine.fill(250);
    await deployed(stack.up());
    await app.commit({ "backend/message.txt": "hello v2\n" });
    await refusesUntouched();
    expect(await served()).toEqual([commit, commit]);
    engine.empty();
  });

  it("keeps serving when a build fills the disk", async () => {
    const dockerfile = app.read("backend/Dockerfile");
    await app.commit({
      "backend/Dockerfile": dockerfile.replace(/^COPY \. .*$/m, "$&\nRUN dd if=/dev/zero of=/filler bs=1M"),
    });
    const outcome = await stack.up();
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toContain("No space left on device");
    expect(outcome.said).toContain("Pruning Docker build cache…");
    expect(Object.keys(outcome.changes).filter((name) => name.startsWith("Container"))).toEqual([]);
    expect(await served()).toEqual([commit, commit]);
    await app.commit({ "backend/Dockerfile": dockerfile });
  });

  it("deploys the next good commit: the leftovers of the failed build are pruned", async () => {
    commit = await app.commit({ "backend/message.txt": "hello v3\n" });
    await deployed(stack.up());
    expect(await served()).toEqual([commit, commit]);
  });
});
