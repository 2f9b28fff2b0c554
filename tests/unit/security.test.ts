import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";

const PROJECT = resolve(__dirname, "..", "..");
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const DOCUMENT = read("SECURITY.md");

/** The cells of each row of the table below a heading, without its head. */
function rowsOf(heading: string): string[][] {
  const section = DOCUMENT.split(/^## /m).find((each) => each.startsWith(heading)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** `file`: "title", "title"; `file`: … */
function testsIn(cell: string): { file: string; title: string }[] {
  return cell.split(/(?=`tests\/)/).flatMap((part) => {
    const file = /^`(tests\/[^`]+)`/.exec(part)?.[1];
    return file === undefined
      ? []
      : [...part.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => ({ file, title }));
  });
}

describe("SECURITY.md", () => {
  const threats = rowsOf("Threat model");

  it("names who, what they control, what they must not reach, and a test for it", () => {
    expect(threats.length).toBeGreaterThan(12);
    for (const row of threats) {
      expect(row).toHaveLength(4);
      expect(row.every((cell) => cell !== "")).toBe(true);
      expect(testsIn(row.at(-1) ?? "")).not.toEqual([]);
    }
  });

  it("names only tests that exist", () => {
    const named = [...threats, ...rowsOf("OpenSSF Scorecard")].flatMap((row) => testsIn(row.at(-1) ?? ""));
    const missing = named.filter(({ file, title }) => {
      if (!existsSync(join(PROJECT, file))) return true;
      const text = read(file);
      return !['"', "`"].some((quote) => text.includes(`${quote}${title}${quote}`));
    });
    expect(missing).toEqual([]);
  });

  it("is linked from the README", () => expect(read("README.md")).toContain("](SECURITY.md)"));
});
