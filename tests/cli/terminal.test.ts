import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { measuredOn } from "../support/measuredOn";
import { TestStack } from "../support/stack";
import { onTerminal, type Recording } from "../support/terminal";

const DOCUMENT = resolve(__dirname, "..", "..", "docs", "terminal.md");

/** `up` on a real terminal. The full form writes what it shows to docs/terminal.md. */
describe("up on a terminal", () => {
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create();
    stack = await TestStack.create({ source: app.folder });
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  /** @param title the section of the document that shows it */
  const record = async (columns: number, most: number, title?: string): Promise<Recording> => {
    const recording = await onTerminal(columns, stack.commandLine("up"));
    const { rows } = recording;
    if (title !== undefined && process.env.WATCH_PARTY_FULL === "1") await write(title, columns, rows);
    expect(rows.length).toBeLessThanOrEqual(most);
    expect(Math.max(...rows.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    const steps = rows.filter((row) => /^[✓✗] /.test(row));
    expect(new Set(steps).size).toBe(steps.length);
    return recording;
  };

  const write = async (title: string, columns: number, rows: readonly string[]) => {
    const { versions, date } = await measuredOn();
    const shown = rows.map((row) => `${row}\n`).join("");
    const text = `On ${date}, ${versions}; ${columns} columns, ${rows.length} lines.\n\n\`\`\`text\n${shown}\`\`\`\n`;
    const [start, ...sections] = readFileSync(DOCUMENT, "utf8").split(/^(?=## )/m);
    const written = sections.map((section) =>
      section.startsWith(`## ${title}\n`) ? `## ${title}\n\n${text}\n` : section,
    );
    writeFileSync(DOCUMENT, `${[start, ...written].join("").trimEnd()}\n`);
  };

  it("shows a first deploy in at most 40 lines of 60 columns", async () => {
    const { status, rows, raw } = await record(60, 40, "A first deploy");
    expect({ status, last: rows.at(-1) }).toEqual({
      status: 0,
      last: expect.stringMatching(/^http\S+ serves [0-9a-f]{12}/),
    });
    for (const name of ["backend", "frontend"]) {
      expect(rows.join("\n")).toMatch(new RegExp(`^✓ image ${name} +\\d`, "m"));
      expect(rows.join("\n")).toMatch(new RegExp(`^${name} +✓commit ✓dockerfile .*`, "m"));
    }
    // Seen while it was built.
    expect(raw).toMatch(/image \w+ .*\[.*\d\/\d\] (RUN|COPY|FROM)/);
  });

  it.each([60, 100])(
    "shows a deploy that changes nothing in at most 12 lines of %d columns",
    async (columns) => {
      const { status, rows } = await record(columns, 12, columns === 100 ? "No change" : undefined);
      expect([status, rows.join("\n")]).toEqual([
        0,
        expect.stringMatching(/^Resources: \d+ unchanged; in all /m),
      ]);
    },
  );

  /** Deploys a commit in which a file of the backend is replaced, which is refused with an error. */
  const refused = async (columns: number, file: string, [from, to]: [RegExp, string], title?: string) => {
    const before = app.read(file);
    await app.commit({ [file]: before.replace(from, to) });
    const { status, rows, raw } = await record(columns, 15, title);
    await app.commit({ [file]: before });
    const [error = ""] = /error: freshness: \w+ of \w+/.exec(raw) ?? [];
    expect([status, raw.split(error).length - 1]).toEqual([1, 1]);
    return { error, text: rows.join("") };
  };

  it("shows a refusal before the prune in at most 15 lines of 60 columns", async () => {
    const { error, text } = await refused(60, "backend/Dockerfile", [/^RUN test.*$/m, ""]);
    expect(error).toBe("error: freshness: dockerfile of backend");
    expect(text).not.toContain("prune ");
  });

  it("shows a refusal of a container in at most 15 lines of 100 columns", async () => {
    const stale: [RegExp, string] = [/COMMIT_FILE\.read_text\(\)\.strip\(\)/, '"stale"'];
    const { error, text } = await refused(100, "backend/server.py", stale, "A refusal");
    expect(error).toBe("error: freshness: container of backend");
    expect(text).toContain("stopped containers that belong to no serving release: ");
  });
});
