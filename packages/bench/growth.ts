import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../freshness/median";
import { TestApp } from "../../tests/support/app";
import { TestStack } from "../../tests/support/stack";
import type { GrowthRow } from "./results";

/** What a quantity is raised to; the default of the others is the fixture app's. */
const POINTS = {
  services: [1, 2, 4, 8, 16],
  "source files": [100, 1_000, 5_000, 20_000, 50_000],
  commits: [1, 1_000],
  "releases kept": [1, 5, 20, 50],
} as const;
const FILES_A_FOLDER = 100;

/**
 * Deploys the fixture app larger and larger: the median of as many new commits as rounds, at each point.
 *
 * @param enough whether the time is over
 */
export async function measureGrowth(
  rounds: number,
  enough: () => boolean,
  say: (text: string) => void,
): Promise<GrowthRow[]> {
  const rows: GrowthRow[] = [];
  const add = (row: GrowthRow) => {
    rows.push(row);
    say(`growth: ${row.at} ${row.by}: ${row.seconds.toFixed(1)} s, state ${row.stateBytes} bytes`);
  };
  for (const at of POINTS.services) {
    if (enough()) return rows;
    const names = Array.from({ length: at }, (_, index) => `s${index}`);
    const services = Object.fromEntries(
      names.map((name, index) => [
        name,
        { context: "backend", port: 8000, health: "/healthz", ...(index ? {} : { route: "/" }) },
      ]),
    );
    await withStack({ services }, async (app, stack) => add(await point("services", at, app, stack, rounds)));
  }
  for (const at of POINTS["source files"]) {
    if (enough()) return rows;
    await withStack({}, async (app, stack) => {
      for (let file = 0; file < at; file++) {
        const folder = join(app.folder, "backend", "files", String(Math.floor(file / FILES_A_FOLDER)));
        if (file % FILES_A_FOLDER === 0) mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, `f${file}.py`), `VALUE = ${file}\n`);
      }
      add(await point("source files", at, app, stack, rounds));
    });
  }
  for (const at of POINTS.commits) {
    if (enough()) return rows;
    await withStack({}, async (app, stack) => {
      for (let commit = 1; commit < at; commit++)
        await app.git("commit", "--quiet", "--allow-empty", "-m", "more");
      add(await point("commits", at, app, stack, rounds));
    });
  }
  const most = Math.max(...POINTS["releases kept"]);
  await withStack({ keepReleases: most + rounds }, async (app, stack) => {
    let made = 0;
    for (const at of POINTS["releases kept"]) {
      for (; made < at; made++) {
        if (enough()) return;
        await deployNew(app, stack);
      }
      add(await point("releases kept", at, app, stack, rounds));
      made += rounds + 1;
    }
  });
  return rows;
}

async function withStack(
  config: Record<string, unknown>,
  use: (app: TestApp, stack: TestStack) => Promise<void>,
): Promise<void> {
  const app = await TestApp.create();
  const stack = await TestStack.create({ source: app.folder, ...config });
  try {
    await use(app, stack);
  } finally {
    await stack.remove();
    app.remove();
  }
}

/** The median of new commits, at one size of what a stack is made of. */
export async function point(
  by: GrowthRow["by"],
  at: number,
  app: TestApp,
  stack: TestStack,
  rounds: number,
): Promise<GrowthRow> {
  // The first one builds from nothing.
  await deployNew(app, stack);
  const taken: number[] = [];
  const steps: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    taken.push(await deployNew(app, stack));
    steps.push((await stack.outputs()).seconds as Record<string, number>);
  }
  const names = Object.keys(steps[0] ?? {});
  return {
    by,
    at,
    seconds: median(taken),
    stateBytes: Buffer.byteLength(stack.state()),
    steps: Object.fromEntries(names.map((name) => [name, median(steps.map((each) => each[name] ?? 0))])),
  };
}

let texts = 0;

/** @returns the seconds that a new commit took */
async function deployNew(app: TestApp, stack: TestStack): Promise<number> {
  await app.commit({ "backend/message.txt": `hello ${texts++}\n` });
  const started = performance.now();
  const { status, stderr } = await stack.command("up");
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - started) / 1000;
}
