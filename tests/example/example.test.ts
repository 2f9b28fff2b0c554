import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { leftovers, TestStack } from "../support/stack";

/** The real thing, once: a Next.js frontend and a FastAPI backend. */
describe("the example app", () => {
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create("examples/watch-party");
    stack = await TestStack.create({ source: app.folder });
  });
  afterAll(() => app?.remove());

  it("is deployed from nothing and serves its commit", async () => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    const commit = await app.git("rev-parse", "HEAD");
    for (const service of ["frontend", "backend"])
      expect(await (await fetch(`${stack.url}/.freshness/${service}`)).json()).toEqual({ commit });
  }, 480_000);

  it("lists in its page the rooms that its backend has", async () => {
    const rooms = (await (await fetch(`${stack.url}/api/rooms`)).json()) as { name: string }[];
    expect(rooms.length).toBeGreaterThan(0);
    const page = await (await fetch(stack.url)).text();
    for (const { name } of rooms) expect(page).toContain(name);
  });

  it("changes nothing when nothing changed, and is gone when destroyed", async () => {
    expect(await stack.up()).toMatchObject({ ok: true, changes: {} });
    expect((await stack.remove()).ok).toBe(true);
    expect(await leftovers(stack.name)).toEqual([]);
  });
});
