import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { measuredOn } from "../support/measuredOn";
import { type Outcome, TestStack } from "../support/stack";
import { resultsIn, resultsOf, shapesDocument, type Tried } from "./document";
import { APPS, readShapes, routeOf, type Shape, servicesOf } from "./shapes";

/** Those that CI deploys: one each of the servers and layouts that are met most, none of which takes long to build. */
const IN_CI = [
  "aiohttp-websocket",
  "caddy-static",
  "express",
  "fastapi-uvicorn",
  "fastify-typescript",
  "flask-gunicorn",
  "nginx-debian",
  "node-events",
  "npm-workspaces",
  "one-image",
  "sqlite-entrypoint",
];

/** How many are deployed as one stack: each needs memory, and a refusal of one refuses all. */
const AT_ONCE = FULL ? 6 : IN_CI.length;

const ONLY = process.env.WATCH_PARTY_SHAPES?.split(",");
const all = readShapes();
const chosen = all.filter(({ name }) => ONLY?.includes(name) ?? (FULL || IN_CI.includes(name)));
const tried: Tried[] = [];

/** Shapes that were deployed as one stack. */
interface Deployed {
  readonly stack: TestStack;
  readonly outcome: Outcome;
  readonly seconds: number;
}

describe.each(groups(chosen))("deploys at the first try: %s", (_names, shapes) => {
  let app: TestApp;
  const deployed = new Map<Shape, Deployed>();

  async function deploy(together: readonly Shape[]): Promise<Outcome> {
    // Fewer side by side than there are images: the others wait for their turn.
    const config = { source: app.folder, services: servicesOf(together), parallelBuilds: 3 };
    const stack = await TestStack.create(config);
    const started = performance.now();
    const outcome = await stack.up();
    const seconds = (performance.now() - started) / 1000;
    for (const shape of together) deployed.set(shape, { stack, outcome, seconds });
    return outcome;
  }

  const remove = async () => {
    const stacks = new Set([...deployed.values()].map(({ stack }) => stack));
    deployed.clear();
    for (const stack of stacks) await stack.remove();
  };

  beforeAll(async () => {
    app = await TestApp.create(APPS);
    const { ok } = await deploy(shapes);
    if (ok || !FULL || shapes.length === 1) return;
    // One that is refused keeps all of its stack out: each is tried in a stack of its own.
    await remove();
    for (const shape of shapes) await deploy([shape]);
  }, 2_400_000);
  afterAll(async () => {
    await remove();
    app?.remove();
  }, 600_000);

  it.each(shapes.map((shape) => [shape.name, shape] as const))("%s", async (_name, shape) => {
    const found = deployed.get(shape);
    const row: Tried = { shape, served: false, seconds: found?.seconds ?? 0 };
    tried.push(row);
    expect(found?.outcome.ok ? "" : (found?.outcome.said ?? "not deployed")).toBe("");
    for (const [path, text] of Object.entries(shape.answers)) {
      const below = `${routeOf(shape)}${path}`.replace("//", "/");
      const answer = await fetch(`${found?.stack.url}${below}`);
      expect({ status: answer.status, text: await answer.text() }).toEqual({
        status: 200,
        text: expect.stringContaining(text),
      });
    }
    row.served = true;
  });
});

afterAll(async () => {
  if (!FULL) return;
  const { versions, date } = await measuredOn();
  const file = join(__dirname, "..", "..", "docs", "shapes.md");
  const before = existsSync(file) ? resultsIn(readFileSync(file, "utf8")) : [];
  const results = new Map([...before, ...resultsOf(tried, versions, date)]);
  writeFileSync(file, shapesDocument(all, results));
});

/** Shapes that are deployed together; those with a route of their own each have a group for themselves. */
function groups(shapes: readonly Shape[]): [string, Shape[]][] {
  const isRoot = (shape: Shape) => routeOf(shape) === "/";
  const shared = shapes.filter((shape) => !isRoot(shape));
  const parts = Array.from({ length: Math.ceil(shared.length / AT_ONCE) }, (_, at) =>
    shared.slice(at * AT_ONCE, (at + 1) * AT_ONCE),
  );
  const roots = shapes.filter(isRoot);
  // The first root shape joins the first part, the second the second, and so on; the rest have their own stacks.
  roots.forEach((root, at) => {
    if (parts[at]) parts[at].push(root);
    else parts.push([root]);
  });
  return parts.map((part) => [part.map(({ name }) => name).join(", "), part]);
}
