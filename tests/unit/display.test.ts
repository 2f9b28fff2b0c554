import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, jest } from "@jest/globals";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { chainLines } from "../../cli/display/chainLines";
import { displayOn } from "../../cli/display/display";
import { cut } from "../../cli/display/paint";
import { buildStep, Steps } from "../../cli/display/steps";
import { followEvents } from "../../cli/display/tail";
import type { Display } from "../../cli/display/types";
import { EVERY_SERVICE, LINKS, type Verdict } from "../../freshness/chain";
import { STEP_ENDED } from "../../release/stepClock";
import { ESCAPE, rowsOf } from "../support/terminal";

const STACK = "urn:pulumi:dev::app::pulumi:pulumi:Stack::app-dev";
const urn = (type: string, name: string, parent = "") =>
  `urn:pulumi:dev::app::${parent === "" ? "" : `watch-party:index:${parent}$`}${type}::${name}`;
const PRUNE = urn("command:local:Command", "prune", "BuildCachePrune");
const IMAGE = urn("docker:index/image:Image", "web", "FreshImage");
const CONTAINER = urn("docker:index/container:Container", "web", "WebService");
const VOLUME = urn("docker:index/volume:Volume", "data");

const begins = (urn: string, op = "create", more = {}) =>
  ({ resourcePreEvent: { metadata: { op, urn, type: "", ...more } } }) as unknown as EngineEvent;
const ends = (urn: string, op = "create", more = {}) =>
  ({ resOutputsEvent: { metadata: { op, urn, type: "", ...more } } }) as unknown as EngineEvent;
const fails = (urn: string, op = "create") =>
  ({ resOpFailedEvent: { metadata: { op, urn, type: "" } } }) as unknown as EngineEvent;
const says = (message: string, more = {}) =>
  ({ diagnosticEvent: { message, severity: "info", color: "never", ...more } }) as unknown as EngineEvent;
const summary = (resourceChanges: Record<string, number>) =>
  ({ summaryEvent: { resourceChanges } }) as unknown as EngineEvent;

const verdict = (link: Verdict["link"], service: string): Verdict => ({
  link,
  service,
  status: "proven",
  expected: "x",
  found: `${link} found`,
  evidence: "e",
});
const links = (...services: string[]) => [
  verdict("commit", EVERY_SERVICE),
  ...LINKS.slice(1).flatMap((link) => services.map((service) => verdict(link, service))),
];

/** A screen that keeps what is written to it. */
class Paper {
  text = "";
  constructor(
    readonly isTTY: boolean,
    readonly columns?: number,
  ) {}
  write(text: string): void {
    this.text += text;
  }
  get rows(): undefined {
    return undefined;
  }
  get lines(): string[] {
    return rowsOf(this.text, this.columns ?? 1000);
  }
}

const FIRST_DEPLOY: readonly EngineEvent[] = [
  begins(STACK),
  says("Building from commit: c0ffee\n"),
  says(`${STEP_ENDED}prepare`, { ephemeral: true }),
  begins(VOLUME),
  ends(VOLUME),
  begins(PRUNE),
  says("Pruning Docker build cache…\n", { urn: PRUNE }),
  says("Total reclaimed space: 0B\nPruned at 2026-01-02T03:04:05Z\n", { urn: PRUNE }),
  ends(PRUNE),
  begins(IMAGE),
  says("#7 [2/4] RUN npm ci --token=hunter2\n", { urn: IMAGE, ephemeral: true }),
  says("#7 0.1 added 29 packages\n", { urn: IMAGE, ephemeral: true }),
  ends(IMAGE),
  begins(CONTAINER),
  says("web: migrated\nweb: seeded\n"),
  ends(CONTAINER),
  says(`${STEP_ENDED}imageProofs`, { ephemeral: true }),
  says("a base image has changed\n", { severity: "warning" }),
  summary({ create: 4 }),
];

const deployed = {
  links: links("web", "api"),
  commit: "c0ffee".padEnd(40, "0"),
  url: "http://127.0.0.1:8080",
  seconds: { prune: 0.4, total: 0.4 },
  served: 3,
  total: 4,
};

function play(
  paper: Paper,
  events: readonly EngineEvent[],
  end: (display: Display) => void,
  env: Record<string, string> = {},
): void {
  const hide = (text: string) => text.replaceAll("hunter2", "[build arg TOKEN]");
  const display = displayOn(paper, new Steps(hide), env);
  for (const event of events) display.hear(event);
  end(display);
}

const succeed = (display: Display) => {
  display.close(true);
  display.conclude(deployed);
};

afterEach(() => void jest.useRealTimers());

describe("on a terminal", () => {
  it.each([60, 80, 100, 140])("every line fits into %d columns, and nothing is printed twice", (columns) => {
    const paper = new Paper(true, columns);
    play(paper, FIRST_DEPLOY, succeed);
    const { lines } = paper;
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    expect(lines.length).toBeLessThan(20);
    // The chain's second rows are alike.
    const told = lines.filter((line) => /^\S/.test(line));
    expect(new Set(told).size).toBe(told.length);
    expect(lines.at(-1)).toMatch(/^http:\/\/127\.0\.0\.1:8080 serves c0ffee0+$/);
    expect(lines.join("\n")).toMatch(/^✓ prune +0\.0 s {2}Total reclaimed space: 0B$/m);
  });

  it("each image shows its current build step, without the values of build args, until it is built", () => {
    const paper = new Paper(true, 100);
    const [before, after] = [FIRST_DEPLOY.slice(0, 12), FIRST_DEPLOY.slice(12)];
    play(paper, before, (display) => {
      expect(paper.lines.at(-1)).toMatch(
        /^· image web +0\.0 s {2}\[2\/4\] RUN npm ci --token=\[build arg TOKEN\]$/,
      );
      for (const event of after) display.hear(event);
      succeed(display);
    });
    expect(paper.text).not.toContain("hunter2");
    expect(paper.lines.join("\n")).toMatch(/^✓ image web +0\.0 s/m);
  });

  it("the chain is one line a service, which continues below in a narrow terminal", () => {
    const plain = (_: string, text: string) => text;
    const wide = "✓ commit ✓ dockerfile ✓ cache ✓ image ✓ bytes ✓ container ✓ served ✓ browser";
    expect(chainLines(links("web", "api"), 100, plain)).toEqual([`web  ${wide}`, `api  ${wide}`]);
    expect(chainLines(links("web"), 80, plain)).toEqual([
      "web  ✓commit ✓dockerfile ✓cache ✓image ✓bytes ✓container ✓served ✓browser",
    ]);
    expect(chainLines(links("web"), 60, plain)).toEqual([
      "web  ✓commit ✓dockerfile ✓cache ✓image ✓bytes ✓container",
      "     ✓served ✓browser",
    ]);
  });

  it("a link that was not checked is named with its reason", () => {
    const open: Verdict = { ...verdict("served", "worker"), status: "not checked", found: "it has no route" };
    expect(chainLines([open], 100, (_, text) => text)).toEqual([
      "worker  – served",
      "served of worker not checked: it has no route",
    ]);
  });

  it("is coloured, unless NO_COLOR is set", () => {
    const painted = new Paper(true, 100);
    play(painted, FIRST_DEPLOY, succeed);
    expect(painted.text).toContain(`${ESCAPE}[32m✓${ESCAPE}[39m`);
    const plain = new Paper(true, 100);
    play(plain, FIRST_DEPLOY, succeed, { NO_COLOR: "1" });
    expect(plain.text).not.toMatch(new RegExp(`${ESCAPE}\\[\\d+m`));
  });

  it("a step that fails, and those under way when the deploy fails, have a cross", () => {
    const paper = new Paper(true, 100);
    play(paper, [begins(IMAGE), begins(CONTAINER), fails(IMAGE)], (display) => display.close(false));
    expect(paper.lines).toEqual([
      expect.stringMatching(/^✗ image web /),
      expect.stringMatching(/^✗ prepare /),
      expect.stringMatching(/^✗ container web /),
    ]);
  });
});

describe("in a log", () => {
  it("there is one line a step, then the chain as a table, the changes, the seconds, the address", () => {
    const paper = new Paper(false);
    play(paper, FIRST_DEPLOY, succeed);
    const lines = paper.text.replace(/\d+\.\d s$/gm, "N s").split("\n");
    expect(lines.slice(0, 9)).toEqual([
      "Building from commit: c0ffee",
      "prune: Pruning Docker build cache…",
      "prune: Total reclaimed space: 0B",
      "prune: done in N s",
      "image web: done in N s",
      "web: migrated",
      "web: seeded",
      "container web: done in N s",
      "warning: a base image has changed",
    ]);
    expect(paper.text).toMatch(/^served +web +proven +served found$/m);
    expect(paper.text).toMatch(
      /\n\nResources: 4 created\n\nprune 0\.4 s; served after 3\.0 s, in all 4\.0 s\n\n/,
    );
    expect(paper.text.trimEnd().split("\n").at(-1)).toBe(`${deployed.url} serves ${deployed.commit}`);
    expect(paper.text).not.toContain(ESCAPE);
  });

  it("says every 30 s what runs, if nothing else was printed", () => {
    jest.useFakeTimers();
    const paper = new Paper(false);
    play(paper, [...FIRST_DEPLOY.slice(0, 3), ...FIRST_DEPLOY.slice(9, 11)], (display) => {
      const before = paper.text;
      jest.advanceTimersByTime(29_000);
      expect(paper.text).toBe(before);
      jest.advanceTimersByTime(1_000);
      expect(paper.text.slice(before.length)).toMatch(
        /^running: image web 30 s, \[2\/4\] RUN npm ci --token=\[build arg TOKEN\]\n$/,
      );
      display.hear(says("web: migrated"));
      jest.advanceTimersByTime(29_000);
      expect(paper.text).toMatch(/web: migrated\n$/);
      display.close(true);
      const closed = paper.text;
      jest.advanceTimersByTime(60_000);
      expect(paper.text).toBe(closed);
    });
  });

  it("GitHub Actions folds the steps and the certificate, and takes no command from an app's output", () => {
    const paper = new Paper(false);
    const commanding = says("web: a\n::add-mask::b\n ##[group]c");
    play(paper, [...FIRST_DEPLOY, commanding], succeed, { GITHUB_ACTIONS: "true" });
    const folds = paper.text.split("\n").filter((line) => line.startsWith("::"));
    expect(folds).toEqual([
      "::group::Deploy",
      "::endgroup::",
      "::group::Certificate: 15 links",
      "::endgroup::",
    ]);
    expect(paper.text).toContain("web: a\n| ::add-mask::b\n|  ##[group]c\n");
    const outside = paper.text.slice(paper.text.lastIndexOf("::endgroup::"));
    expect(outside).toContain(`serves ${deployed.commit}`);
  });
});

describe("the steps of a deploy", () => {
  it("tell the commit that was replaced, and what was done with the resources", () => {
    const steps = new Steps((text) => text);
    steps.hear(begins(STACK, "same", { old: { outputs: { commit: "a".repeat(40) } } }));
    steps.hear(ends(STACK, "same", { new: { outputs: { commit: "b".repeat(40) } } }));
    steps.hear(summary({ same: 21, replace: 2, delete: 1, read: 1 }));
    expect(steps.commitChange).toEqual({ before: "a".repeat(40), after: "b".repeat(40) });
    expect(steps.resources).toBe("1 deleted, 2 replaced, 21 unchanged");
  });

  it("name the removal of an old container, and neither components nor unchanged resources", () => {
    const steps = new Steps(
      (text) => text,
      () => 0,
    );
    for (const event of [
      begins(urn("watch-party:index:WebService", "web")),
      begins(IMAGE, "same"),
      begins(CONTAINER, "delete-replaced"),
      begins(urn("docker:index/container:Container", "db-accessory", "Accessory"), "create-replacement"),
    ])
      steps.hear(event);
    const labels = steps.current.map(({ label }) => label);
    expect(labels).toEqual(["prepare", "remove container web", "accessory db"]);
  });
});

it.each([
  ["#9 [builder 3/5] RUN npm run build", "[builder 3/5] RUN npm run build"],
  ["[2/4] COPY . .", "[2/4] COPY . ."],
  ["#1 [internal] load build definition from Dockerfile", undefined],
  ["#9 12.3 added 29 packages", undefined],
])("reads the build step of %j", (line, step) => expect(buildStep(line)).toBe(step));

it("cuts text to a width: wide characters, control characters and colours", () => {
  expect(cut("abcdef", 4)).toBe("abc…");
  expect(cut("日本語", 5).length).toBeLessThanOrEqual(3);
  expect(cut(`a\tb${ESCAPE}[31mc`, 10)).toBe("a bc");
});

it("reads the events while they are written, in parts of lines too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-tail-"));
  const file = join(folder, "events");
  const heard: EngineEvent[] = [];
  const end = followEvents(file, (event) => heard.push(event));
  try {
    const line = JSON.stringify({ diagnosticEvent: { message: "größer", severity: "info" } });
    writeFileSync(file, '{"diagnosticEvent":{"message":"no","color":"never","severity":"debug"}}\n');
    await appendFile(file, Buffer.from(line).subarray(0, 32));
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(heard).toEqual([]);
    await appendFile(file, Buffer.from(`${line}\n{"cut off`).subarray(32));
  } finally {
    end();
  }
  expect(heard.map(({ diagnosticEvent }) => diagnosticEvent?.message)).toEqual(["größer"]);
  rmSync(folder, { recursive: true });
});
