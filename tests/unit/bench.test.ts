import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { median } from "../../freshness/median";
import {
  benchDocument,
  growthTables,
  linksTable,
  overviewTable,
  restTable,
} from "../../packages/bench/document";
import type { Deployer } from "../../packages/bench/flows";
import { measure } from "../../packages/bench/measure";
import {
  type GrowthRow,
  growthExponent,
  judge,
  type Row,
  waitingRoundTrips,
} from "../../packages/bench/results";
import { SlowLink } from "../../packages/bench/slowLink";

const round = (seconds: number, more = {}) => ({
  ...{ seconds, servedSeconds: null, stale: null, requests: null, failed: null, memoryMiB: 1, steps: null },
  ...more,
});
const row = (name: string, seconds: number[], more = {}): Row => {
  const [app, what, flow] = name.split(" ") as [Row["app"], Row["case"], Row["flow"]];
  const rounds = seconds.map((each) => round(each, more));
  return { app, case: what, flow, rounds, disk: { Images: "1GB" }, time: "2026-01-02T03:04:05Z" };
};
const outcomeOf = (rows: Row[], goal: string) => judge(rows).find((each) => each.goal === goal);

it.each([
  [[3, 1, 2], 2],
  [[4, 1, 2, 3], 2.5],
  [[7], 7],
])("the median of %j is %d", (values, expected) => expect(median(values)).toBe(expected));

it("shows each case in one line: the flows with their spread, and what is compared", () => {
  const own = row("example commit own", [9, 8, 12], { failed: 1 });
  const rows = [row("example commit original", [20, 18, 22]), own, row("large nothing own", [2])];
  expect(overviewTable(rows).split("\n").slice(2)).toEqual([
    "| example | commit | 20.0 (18.0–22.0) | 9.0 (8.0–12.0) | 0.45 × | 3 |",
    "| large | nothing | – | 2.0 (2.0–2.0) | – | – |",
  ]);
});

it("shows what a stack uses at rest", () => {
  const rest = [{ what: "at rest: edge", value: 0.014, unit: "% of a core" }];
  expect(restTable(rest).split("\n").at(-1)).toBe("| at rest: edge | 0.01 | % of a core |");
  const document = benchDocument({
    schema: "watch-party/bench/1",
    machine: "2 processors",
    versions: "engine 1",
    rows: [],
    growth: [],
    links: [],
    rest,
  });
  expect(document).toContain("## What it uses at rest, and at the edge");
});

describe("the goals", () => {
  const original = row("large commit original", [20, 30, 22]);
  it.each([
    [row("large commit own", [11, 10, 99]), "pass"],
    [row("large commit own", [12, 11.1, 1]), "fail"],
    [row("example commit own", [1]), "unknown"],
  ])("compare medians", (own, outcome) => {
    expect(outcomeOf([original, own], "new commit, large: own of original")).toMatchObject({ outcome });
  });

  it.each([
    [15, 13, "pass", "pass", "pass"],
    [15.1, 13, "fail", "pass", "pass"],
    [14, 11, "pass", "pass", "fail"],
  ])("compare the time beyond docker build (%d and %d s)", (small, large, first, second, apart) => {
    const rows = [
      row("example commit build", [10]),
      row("large commit build", [10]),
      row("example commit own", [small]),
      row("large commit own", [large]),
    ];
    const of = (goal: string) => outcomeOf(rows, goal)?.outcome;
    expect(of("new commit, example: own beyond docker build")).toBe(first);
    expect(of("new commit, large: own beyond docker build")).toBe(second);
    expect(of("the same for both apps")).toBe(apart);
  });

  it.each([
    [2.5, "pass", 0.4, "pass"],
    [2.6, "fail", 0.3, "pass"],
    [1, "pass", 1.2, "fail"],
  ])("compare a rollback with a deploy, and proofs with both", (seconds, rollback, proof, proofs) => {
    const rows = [
      row("example commit own", [10], { steps: { images: 5, imageProofs: 0.4, proof, total: 9 } }),
      row("example rollback own", [seconds]),
    ];
    expect(outcomeOf(rows, "rollback, example: of a new commit")?.outcome).toBe(rollback);
    expect(outcomeOf(rows, "new commit, example: proofs")?.outcome).toBe(proofs);
    expect(outcomeOf(rows, "nothing changed, example: proofs")?.outcome).toBe("unknown");
  });

  it.each([
    [2, "pass"],
    [2.1, "fail"],
  ])("allow proofs two seconds in a no-op (%d s)", (proof, outcome) => {
    const rows = [row("large nothing own", [3], { steps: { proof, total: 3 } })];
    expect(outcomeOf(rows, "nothing changed, large: proofs")?.outcome).toBe(outcome);
  });

  it.each([
    [{ failed: 0, requests: 9, stale: false }, "pass", "0 of 1 rounds"],
    [{ failed: 1, requests: 9, stale: false }, "fail", "1 of 1 rounds"],
    [{ failed: 0, requests: 9, stale: true }, "fail", "1 of 1 rounds"],
  ])("require no failed request and no stale page", (more, outcome, measured) => {
    const found = outcomeOf([row("large ten own", [1], more)], "own: no failed request, nothing stale");
    expect(found).toMatchObject({ outcome, measured });
  });
});

describe("growth", () => {
  const points = [1, 2, 4, 8];
  it.each([
    ["constant", () => 3, 0],
    ["linear", (at: number) => 2 * at, 1],
    ["quadratic", (at: number) => at * at, 2],
  ])("that is %s has its exponent", (_, of, exponent) => {
    expect(growthExponent(points.map((at) => [at, of(at)]))).toBeCloseTo(exponent);
  });

  it("is reported if it is faster than linear, but not for a step that is too short to measure", () => {
    const rows: GrowthRow[] = points.map((at) => ({
      ...{ by: "services", at, seconds: at, stateBytes: 1024 * at * at },
      steps: { prune: 0.001 * at * at, images: at * at },
    }));
    const last = growthTables(rows).split("\n").at(-1);
    expect(last).toBe("| exponent | 1.00 | – | 2.00 (faster than linear) | 2.00 (faster than linear) |");
  });
});

it("the document contains the measurements", () => {
  const more = { servedSeconds: 9, stale: false, requests: 50, failed: 2, steps: { prune: 1, total: 9 } };
  const rows = [
    row("large commit original", [20]),
    row("large commit build", [8]),
    row("large commit own", [10, 12, 11], more),
    row("large commit framework", [5]),
  ];
  const text = benchDocument({
    ...{ schema: "watch-party/bench/1", machine: "2 processors", versions: "v", rows, growth: [], links: [] },
  });
  expect(text).toContain(
    "| large | commit | own | 11.0 | 10.0–12.0 | 3 | 9.0 | 6 of 150 | 0 of 3 | 1 MiB | images 1GB, build cache – |",
  );
  expect(text).toContain("| large | 1.0 | 9.0 | 2.0 | 5.0 |");
  expect(text).toContain("takes of the original's time: large 0.40 ×.");
  expect(text).toContain("the\nprune and the new containers until they answer are: large 1.0 of 3.0 s.");
});

describe("a measured deploy", () => {
  let server: Server | undefined;
  afterEach(() => void server?.close());
  /** Something that is served, and changes with a deploy. */
  const flow = async (answer: () => [status: number, text: string]): Promise<Deployer> => {
    server = createServer((_, response) => {
      const [status, text] = answer();
      response.writeHead(status).end(text);
    });
    await new Promise<void>((ready) => server!.listen(0, "127.0.0.1", ready));
    const nothing = async () => undefined;
    return {
      flow: "original",
      url: () => `http://127.0.0.1:${(server!.address() as AddressInfo).port}`,
      ...{ deploy: nothing, remove: nothing },
    };
  };
  /** Waits until the page was asked for several times. */
  const asked = async (count: () => number, more: number) => {
    for (const enough = count() + more; count() < enough; )
      await new Promise((resume) => setTimeout(resume, 5));
  };

  it("is fresh from the moment the page has the new text", async () => {
    let requests = 0;
    let text = "old";
    const served = await flow(() => {
      requests += 1;
      return [200, text];
    });
    const work = async () => {
      await asked(() => requests, 5);
      text = "new";
      await asked(() => requests, 5);
    };
    const found = await measure(served, work, "new");
    expect(found).toMatchObject({ stale: false, failed: 0 });
    expect(found.requests).toBeGreaterThanOrEqual(10);
    expect(found.servedSeconds).toBeGreaterThan(0);
  });

  it("is stale if the page keeps the old text, and counts failed requests", async () => {
    let requests = 0;
    const served = await flow(() => {
      requests += 1;
      return [requests % 2 === 1 ? 200 : 503, "old"];
    });
    const found = await measure(served, () => asked(() => requests, 6), "new");
    expect(found).toMatchObject({ stale: true, servedSeconds: null });
    expect(found.failed).toBeGreaterThanOrEqual(3);
    expect(found.failed).toBeLessThan(found.requests!);
  });
});

describe("a link with latency", () => {
  it("answers a round trip later, in the order of what was sent", async () => {
    const answered: string[] = [];
    const server = createServer((request, response) => void response.end(request.url));
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const link = await SlowLink.start((server.address() as AddressInfo).port);
    try {
      const ask = async (path: string) => {
        const started = performance.now();
        answered.push(await (await fetch(`http://127.0.0.1:${link.port}${path}`)).text());
        return performance.now() - started;
      };
      await ask("/near");
      link.roundTripMs = 100;
      // The connection is kept: one round trip for each request.
      for (const path of ["/far", "/farther"]) expect(await ask(path)).toBeGreaterThanOrEqual(95);
      expect(answered).toEqual(["/near", "/far", "/farther"]);
    } finally {
      await link.remove();
      server.closeAllConnections();
      server.close();
    }
  });

  it("counts simultaneous requests as one round trip", async () => {
    const server = createServer((_, answer) => answer.end("told"));
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const link = await SlowLink.start((server.address() as AddressInfo).port);
    const ask = () => fetch(`http://127.0.0.1:${link.port}/`).then((answer) => answer.text());
    try {
      link.countRounds(50);
      await Promise.all([ask(), ask(), ask()]);
      expect(link.rounds).toBe(1);
      await ask();
      await ask();
      expect(link.rounds).toBe(3);
      link.countRounds(undefined);
      await ask();
    } finally {
      await link.remove();
      server.closeAllConnections();
      server.close();
    }
  });

  it("shows how many round trips wait for one another", () => {
    const rows = [0, 20, 80, 200].map((roundTripMs) => ({
      command: "deploy" as const,
      roundTripMs,
      seconds: 5 + (roundTripMs / 1000) * 12,
      requests: 80,
      logins: 1,
      rounds: 9,
    }));
    expect(waitingRoundTrips(rows)).toBeCloseTo(12);
    expect(linksTable(rows).split("\n").at(-1)).toBe("| deploy | 5.0 | 5.2 | 6.0 | 7.4 | 12 | 9 | 80 | 1 |");
  });
});
