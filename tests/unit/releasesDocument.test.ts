import { describe, expect, it } from "@jest/globals";
import { killTable, loadText, rollbackText, withSection } from "../releases/document";

describe("docs/releases.md", () => {
  it("has a row for each kill, with the outage if requests failed", () => {
    const row = { where: "over ssh", moment: "prunes", victim: "CLI", requests: 900, next: 8.04 };
    const table = killTable([
      { ...row, failed: 0, outage: 0 },
      { ...row, failed: 12, outage: 1.52 },
    ]);
    expect(table.split("\n").slice(2)).toEqual([
      "| over ssh | prunes | CLI | 0 of 900 | none | 8.0 |",
      "| over ssh | prunes | CLI | 12 of 900 | 1.5 s | 8.0 |",
    ]);
  });

  it("has the response times after a switch", () => {
    const counts = { rate: 200, deploys: 20, requests: 50_000, seconds: 250.4, failed: 0, switches: 24 };
    const text = loadText({ ...counts, p99: [10, 11.2], deploy: 9, rollback: 1.8, rollbacks: 5 });
    expect(text).toContain("50000 requests in 250 s, **0 failed**");
    expect(text).toContain("1.12 times as long");
    expect(text).toContain("A deploy took 9.0 s in the median, a rollback 1.8 s");
    expect(text).toContain("only behind the edge, and 5 rollbacks,");
  });

  it("has the ratio of a rollback to a deploy", () => {
    const text = rollbackText(
      [{ app: "large", deploys: [40, 38, 50], rollbacks: [8, 9, 7], requests: 900 }],
      5,
    );
    expect(text).toContain("beside 5 requests a second");
    expect(text).toContain("| large | 3 | 40.0 (38.0–50.0) | 8.0 (7.0–9.0) | 0.20 | 0 of 900 |");
  });

  it("replaces a section and keeps the others", () => {
    const both = withSection(withSection("", "Killed deploys", "old"), "Deploys under load", "load");
    expect(withSection(both, "Killed deploys", "new")).toBe(both.replace("old", "new"));
    expect(both.match(/^## .*/gm)).toEqual(["## Deploys under load", "## Killed deploys"]);
  });
});
