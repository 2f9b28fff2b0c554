import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { measuredOn } from "../support/measuredOn";
import { type Outcome, TestStack } from "../support/stack";
import { shapesDocument, type Tried } from "./document";
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

describe.each(groups(chosen))("deployed at the first try: %s", (_names, shapes) => {
  let app: TestApp;
  let stack: TestStack;
  let outcome: Outcome;
  let seconds: number;

  beforeAll(async () => {
    app = await TestApp.create(APPS);
    // Fewer side by side than there are images: the others wait for their turn.
    stack = await TestStack.create({ source: app.folder, services: servicesOf(shapes), parallelBuilds: 3 });
    const started = performance.now();
    outcome = await stack.up();
    seconds = (performance.now() - started) / 1000;
  }, 1_200_000);
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  it.each(shapes.map((shape) => [shape.name, shape] as const))("%s", async (_name, shape) => {
    const row: Tried = { shape, served: false, seconds };
    tried.push(row);
    if (!outcome.ok) throw new Error(outcome.said);
    for (const [path, text] of Object.entries(shape.answers)) {
      const answer = await fetch(
        `${stack.url}${routeOf(shape)}${path}`.replace("//", "/").replace(":/", "://"),
      );
      expect({ status: answer.status, text: await answer.text() }).toEqual({
        status: 200,
        text: expect.stringContaining(text),
      });
    }
    row.served = true;
  });
});

afterAll(async () => {
  if (!FULL || ONLY) return;
  const { versions, date } = await measuredOn();
  writeFileSync(join(__dirname, "..", "..", "docs", "shapes.md"), shapesDocument(tried, versions, date));
});

/** Shapes that are deployed together; those with a route of their own each have a group for themselves. */
function groups(shapes: readonly Shape[]): [string, Shape[]][] {
  const isRoot = (shape: Shape) => routeOf(shape) === "/";
  const shared = shapes.filter((shape) => !isRoot(shape));
  const parts = Array.from({ length: Math.ceil(shared.length / AT_ONCE) }, (_, at) =>
    shared.slice(at * AT_ONCE, (at + 1) * AT_ONCE),
  );
  const roots = shapes.filter(isRoot);
  // The first root shape joins the first part, the second the second, and so on; what is left has stacks of its own.
  roots.forEach((root, at) => {
    if (parts[at]) parts[at].push(root);
    else parts.push([root]);
  });
  return parts.map((part) => [part.map(({ name }) => name).join(", "), part]);
}
