import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { leftovers, type Outcome, TestStack } from "../support/stack";

/** One story on a real engine: what was proven in one stack runs in another. */
describe("a promotion", () => {
  const settings = { frontend: { args: { FLAVOUR: "plain" } }, backend: {} };
  let app: TestApp;
  let staging: TestStack;
  let prod: TestStack;
  let first: string;
  let second: string;

  beforeAll(async () => {
    app = await TestApp.create();
    first = await app.git("rev-parse", "HEAD");
    staging = await TestStack.create({ source: app.folder, services: settings });
    prod = await staging.beside({ source: app.folder, services: settings });
  });
  afterAll(async () => {
    await prod?.remove();
    await staging?.remove();
    app?.remove();
  });

  const good = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const promote = () => prod.command("up", "--from-stack", staging.name);
  const served = async (stack: TestStack) =>
    Promise.all(
      ["frontend", "backend"].map(async (service) => {
        const answer = await fetch(`${stack.url}/.freshness/${service}`);
        return ((await answer.json()) as { commit: string }).commit;
      }),
    );
  const created = async (stack: TestStack) => {
    const { images } = (await stack.outputs()) as { images: Record<string, string> };
    return images;
  };

  it("needs a release to promote", async () => {
    const { status, stderr } = await promote();
    expect(stderr).toContain(`stack ${staging.name} has no deployment that succeeded`);
    expect(status).toBe(1);
    expect(await leftovers(prod.name)).toEqual([]);
  });

  it("runs the proven images without a prune or a build", async () => {
    await good(staging.up());
    const { status, stdout, stderr } = await promote();
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toContain("Pruning");
    const [, visible, total] = /; served after (\d+\.\d) s, in all (\d+\.\d) s$/m.exec(stdout) ?? [];
    expect(Number(visible)).toBeLessThan(Number(total));
    expect(await served(prod)).toEqual([first, first]);
    expect(await created(prod)).toEqual(await created(staging));
    expect((await prod.verify()).status).toBe(0);
  });

  it("is in place for a plain `up` of the same commit", async () => {
    // Of the promotion nothing but its question to the other stack goes.
    const { changes } = await good(prod.up());
    expect(changes).toEqual({ "StackReference promoted-from": "discard" });
    expect((await good(prod.up())).changes).toEqual({});
  });

  it("leaves the other stack unchanged", async () => {
    second = await app.commit({ "backend/message.txt": "two\n" });
    const before = await leftovers(prod.name);
    await good(staging.up());
    expect(await served(staging)).toEqual([second, second]);
    expect(await served(prod)).toEqual([first, first]);
    expect(await leftovers(prod.name)).toEqual(before);
  });

  it("is refused if the stacks have different build settings, with their names and without their values", async () => {
    const otherwise = { ...settings, frontend: { args: { FLAVOUR: "secret-flavour" } } };
    await prod.configure({ services: otherwise });
    const { status, stderr } = await promote();
    expect(stderr).toContain("build arg FLAVOUR of frontend has another value");
    expect(stderr).not.toContain("secret-flavour");
    expect(status).toBe(1);
    expect(await served(prod)).toEqual([first, first]);
    await prod.configure({ services: settings });
  });

  it("is refused if the other stack runs an older commit than requested", async () => {
    const third = await app.commit({ "backend/message.txt": "three\n" });
    const { status, stderr } = await promote();
    expect(stderr).toContain(
      `stack ${staging.name} runs ${second.slice(0, 12)}, which is older than ${third.slice(0, 12)}`,
    );
    expect(status).toBe(1);
    await app.git("reset", "--quiet", "--hard", second);
  });

  it("is refused if the other stack fails its proofs", async () => {
    const container = await staging.container("backend");
    await execa("docker", ["stop", "--time", "1", container]);
    const { status, stderr } = await promote();
    expect(stderr).toMatch(/freshness: container of backend: /);
    expect(status).toBe(1);
    expect(await served(prod)).toEqual([first, first]);
    await execa("docker", ["start", container]);
  });

  it("succeeds once that is repaired, and can be rolled back", async () => {
    expect((await promote()).status).toBe(0);
    expect(await served(prod)).toEqual([second, second]);
    expect((await prod.command("rollback")).status).toBe(0);
    expect(await served(prod)).toEqual([first, first]);
  });

  it("refuses an older commit than the running one, unless it is allowed", async () => {
    expect((await prod.command("up", "--resume")).status).toBe(0);
    await app.git("checkout", "--quiet", first);
    const refused = await prod.command("up");
    expect(refused.stderr).toContain(
      `superseded: ${first.slice(0, 12)} is older than ${second.slice(0, 12)}`,
    );
    expect(refused.status).toBe(1);
    expect((await prod.command("up", "--only-newer")).status).toBe(0);
    expect(await served(prod)).toEqual([second, second]);
    expect((await prod.command("up", "--allow-older")).status).toBe(0);
    expect(await served(prod)).toEqual([first, first]);
  });
});
