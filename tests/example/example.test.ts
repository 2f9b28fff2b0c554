import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { TestApp } from "../support/app";
import { leftovers, TestStack } from "../support/stack";

const PROJECT = resolve(__dirname, "..", "..");
/** As stack dev deploys it: with a volume, and a command that migrates. */
const services = parse(readFileSync(join(PROJECT, "Pulumi.dev.yaml"), "utf8")).config["watch-party:services"];

/** The real thing, once: a Next.js frontend and a FastAPI backend. */
describe("the example app", () => {
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create("examples/watch-party");
    stack = await TestStack.create({ source: app.folder, services });
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

  it("serves its film in parts, so that a browser can seek", async () => {
    const answer = await fetch(`${stack.url}/film.mp4`, { headers: { range: "bytes=1000-1999" } });
    expect(answer.status).toBe(206);
    expect((await answer.arrayBuffer()).byteLength).toBe(1000);
  });

  it("changes nothing when nothing changed, and is gone when destroyed", async () => {
    expect(await stack.up()).toMatchObject({ ok: true, changes: {} });
    expect((await stack.remove()).ok).toBe(true);
    expect(await leftovers(stack.name)).toEqual([]);
  });
});
