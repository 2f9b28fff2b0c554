import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import type { Results } from "../../packages/bench/results";

const PROJECT = resolve(__dirname, "..", "..");

/** The benchmark at its smallest: it is run in full by hand, on a machine that has nothing else to do. */
describe("npm run bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-bench-"));
  const out = join(folder, "bench.json");
  const bench = (...args: string[]) => {
    const script = [
      "--require",
      "@swc-node/register",
      join(PROJECT, "packages", "bench", "run.ts"),
      "--out",
      out,
    ];
    return execa(process.execPath, [...script, ...args], { cwd: PROJECT, reject: false });
  };
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("measures two flows in alternation under load, and stores the results", async () => {
    const what = ["--apps", "fixture", "--cases", "commit", "--flows", "original,own", "--rounds", "1"];
    const { exitCode, stdout, stderr } = await bench(...what);
    expect(exitCode === 0 ? "" : stderr).toBe("");
    const { schema, rows } = JSON.parse(readFileSync(out, "utf8")) as Results;
    expect(schema).toBe("watch-party/bench/1");
    expect(rows.map((row) => `${row.app} ${row.case} ${row.flow} ${row.rounds.length}`)).toEqual([
      "fixture commit original 1",
      "fixture commit own 1",
    ]);
    const [original, own] = rows.map(({ rounds }) => rounds[0]!);
    for (const round of [original!, own!]) {
      expect(round).toMatchObject({ stale: false, servedSeconds: expect.any(Number) });
      // The load is read while the deploy runs: most of five requests a second came.
      expect(round.requests).toBeGreaterThan(3 * round.seconds);
    }
    // The scripts take a container away before they start the next one.
    expect(original!.failed).toBeGreaterThan(0);
    expect(own!.failed).toBe(0);
    expect(own!.steps).toMatchObject({ images: expect.any(Number), total: expect.any(Number) });
    expect(rows.every(({ disk }) => /B$/.test(disk["Build Cache"] ?? ""))).toBe(true);
    expect(stdout).toContain("| own: no failed request, nothing stale | 0 rounds | 0 of 1 rounds | pass |");
  }, 300_000);

  it("lists the allowed options", async () => {
    const { exitCode, stderr } = await bench("--flows", "mine");
    expect(exitCode).toBe(2);
    expect(stderr).toContain("allowed: original, purging, build, own, empty, framework");
  });
});
