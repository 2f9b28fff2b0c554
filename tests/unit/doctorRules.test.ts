import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { doctorRules } from "../../docs/doctorRules";
import { fingerprint } from "../../packages/doctor/baseline";
import { RULES, rulesMeant } from "../../packages/doctor/rules";

const PROJECT = join(__dirname, "../..");
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

describe("the rules", () => {
  it("have consecutive codes and unique names", () => {
    expect(RULES.map(({ code }) => code)).toEqual(
      RULES.map((_, at) => `FRESH${String(at + 1).padStart(3, "0")}`),
    );
    expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
    expect(rulesMeant("fresh005")).toEqual(["cache-mount"]);
    expect(rulesMeant("cache-mount")).toEqual(["cache-mount"]);
  });

  it("are documented from the table of findings", () => {
    expect(read("docs/doctor-rules.md")).toBe(doctorRules());
    for (const { code } of RULES) expect(doctorRules()).toContain(`### ${code}\n`);
  });

  it("give a finding the same fingerprint on another line", () => {
    const one = {
      code: "FRESH005",
      rule: "cache-mount",
      severity: "error",
      path: "a",
      why: "",
      fix: "",
    } as const;
    expect(fingerprint({ ...one, line: 1, found: "a  b" })).toBe(
      fingerprint({ ...one, line: 9, found: "a b" }),
    );
    expect(fingerprint({ ...one, line: 1, found: "a" })).not.toBe(
      fingerprint({ ...one, line: 1, found: "b" }),
    );
  });
});

describe("the integrations", () => {
  it("have a pre-commit hook with an existing program", () => {
    const [hook] = parse(read(".pre-commit-hooks.yaml"));
    expect(hook).toMatchObject({ id: "doctor", language: "script", require_serial: true });
    // Each committed file: scripts of any name start builds.
    expect(hook).not.toHaveProperty("files");
    accessSync(join(PROJECT, hook.entry), constants.X_OK);
  });

  it("have an action that expands no input in a command, and runs no other action", () => {
    const action = parse(read(".github/actions/doctor/action.yml"));
    for (const step of action.runs.steps) {
      expect(step.uses).toBeUndefined();
      expect(step.run).not.toContain("${{");
      expect(Object.keys(step.env)).toEqual(
        expect.arrayContaining(["JUDGED", "FAIL_ON", "CODE_SCANNING", "GH_TOKEN"]),
      );
    }
    accessSync(join(PROJECT, ".github/actions/doctor/run"), constants.X_OK);
  });
});
