import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { pulumi, restoreState } from "../../cli/project";
import { withVariables } from "../support/variables";

const backend = process.env.PULUMI_BACKEND_URL;
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "watch-party-state-"));
  process.env.PULUMI_BACKEND_URL = `file://${folder}`;
  const stacks = join(folder, ".pulumi", "stacks", "watch-party");
  mkdirSync(stacks, { recursive: true });
  file = join(stacks, "dev.json");
});
afterEach(() => {
  if (backend === undefined) delete process.env.PULUMI_BACKEND_URL;
  else process.env.PULUMI_BACKEND_URL = backend;
  rmSync(folder, { recursive: true });
});

it.each(["", '{"version":3,"check'])(
  "a state that was truncated as %j is restored from its backup",
  (left) => {
    writeFileSync(file, left);
    writeFileSync(`${file}.bak`, '{"version":3}');
    expect(restoreState("organization/watch-party/dev")).toBe(true);
    expect(readFileSync(file, "utf8")).toBe('{"version":3}');
  },
);

it.each(["", ".bak"])(
  "attributes of the state%s that were truncated are removed, and the state stays",
  (of) => {
    writeFileSync(file, '{"version":3,"new":true}');
    writeFileSync(`${file}.bak`, '{"version":3}');
    writeFileSync(`${file}${of}.attrs`, "");
    expect(restoreState("dev")).toBe(true);
    expect(existsSync(`${file}${of}.attrs`)).toBe(false);
    expect(readFileSync(file, "utf8")).toBe('{"version":3,"new":true}');
    expect(restoreState("dev")).toBe(false);
  },
);

it("a complete state stays, and so does one without a better backup", () => {
  writeFileSync(file, '{"version":3,"new":true}');
  writeFileSync(`${file}.bak`, '{"version":3}');
  expect(restoreState("dev")).toBe(false);
  writeFileSync(file, "");
  writeFileSync(`${file}.bak`, "");
  expect(restoreState("dev")).toBe(false);
  expect(readFileSync(file, "utf8")).toBe("");
});

it("nothing is restored for another backend", () => {
  process.env.PULUMI_BACKEND_URL = "s3://state";
  expect(restoreState("dev")).toBe(false);
});

it("the CLI runs with a relaxed garbage collector, unless GOGC is set", async () => {
  writeFileSync(join(folder, "pulumi"), '#!/bin/sh\necho "$GOGC" > "$1"\n', { mode: 0o755 });
  const said = join(folder, "said");
  const PATH = `${folder}:${process.env.PATH}`;
  const { GOGC } = process.env;
  delete process.env.GOGC;
  try {
    expect(await withVariables({ PATH }, () => pulumi([said]))).toBe(0);
    expect(readFileSync(said, "utf8")).toBe("400\n");
    await withVariables({ PATH }, () => pulumi([said], "inherit", { GOGC: "50" }));
    expect(readFileSync(said, "utf8")).toBe("50\n");
    await withVariables({ PATH, GOGC: "75" }, () => pulumi([said]));
    expect(readFileSync(said, "utf8")).toBe("75\n");
  } finally {
    if (GOGC !== undefined) process.env.GOGC = GOGC;
  }
});

it("the CLI and what it starts leave no core dump", async () => {
  writeFileSync(join(folder, "pulumi"), '#!/bin/sh\nsh -c "ulimit -c" > "$1"\n', { mode: 0o755 });
  const said = join(folder, "said");
  const PATH = `${folder}:${process.env.PATH}`;
  expect(await withVariables({ PATH }, () => pulumi([said, "a b"]))).toBe(0);
  expect(readFileSync(said, "utf8")).toBe("0\n");
});
