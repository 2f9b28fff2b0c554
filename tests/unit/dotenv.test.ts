import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { parseDotenv } from "../../config/dotenv";
import { problemsForUp } from "../../config/problems";
import { secretsOf } from "../../config/secrets";

const outside: Readonly<Record<string, string>> = { HOST: "db.example.org", EMPTY: "" };
const read = (text: string) => parseDotenv(text, (name) => outside[name]);

describe("a file of environment variables", () => {
  it.each<[string, Record<string, string>]>([
    ["A=1\n\n# comment\nB = two words \n", { A: "1", B: "two words" }],
    ["export A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    // A password with a number sign stays whole; a comment needs a space before it.
    ["A=pa#ss\nB=pass # comment\nC=#", { A: "pa#ss", B: "pass", C: "" }],
    ["A=postgres://u:p@h/db?x=1&y==", { A: "postgres://u:p@h/db?x=1&y==" }],
    ["A='a $HOST \\n b' # c", { A: "a $HOST \\n b" }],
    ['A="a\\nb \\"c\\" \\$HOST"', { A: 'a\nb "c" $HOST' }],
    ['A="first\nsecond"\nB=2', { A: "first\nsecond", B: "2" }],
    ["A=x\nB=$A/${A}y\nC=${HOST}", { A: "x", B: "x/xy", C: "db.example.org" }],
    ["A=${NONE:-d}\nB=${EMPTY-d}\nC=${EMPTY:-d}\nD=${HOST:+set}", { A: "d", B: "", C: "d", D: "set" }],
    ["A=cost$$5\nB=a\\b", { A: "cost$5", B: "a\\b" }],
    // A name alone takes its value from the environment.
    ["HOST\nNONE\n", { HOST: "db.example.org" }],
    ["A: yaml", { A: "yaml" }],
    ["A=", { A: "" }],
  ])("reads %j as compose does", (text, values) => {
    expect(read(text)).toMatchObject({ values, problems: [] });
    expect(Object.keys(read(text).values)).toEqual(Object.keys(values));
  });

  it("keeps references as they are written without a place to look them up, and counts lines", () => {
    const text = "# a\nA=${NONE:-d}$B # c\nNONE\nB=\"x\n\\ny\"\nC='z'\n";
    expect(parseDotenv(text)).toEqual({
      values: { A: "${NONE:-d}$B", B: "x\n\\ny", C: "z" },
      lines: { A: 2, B: 4, C: 6 },
      problems: [],
    });
  });

  it.each([
    ["A=1\nno name here\n", "line 2: not NAME=value"],
    ["1A=x", "line 1: not NAME=value"],
    ["A='open", "line 1: the quote of A does not end"],
    ["A='x' y", "line 1: text after the closing quote of A"],
    ["A=pa$word", "line 1: $word is not set; write the value in single quotes"],
  ])("refuses %j", (text, problem) => {
    expect(read(text).problems).toEqual([expect.stringContaining(problem)]);
  });
});

describe("envFile", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-env-"));
    writeFileSync(join(folder, ".env"), "TOKEN=from-file\nMODE=file\nLEVEL=1\n");
    writeFileSync(join(folder, ".env.web"), "LEVEL=2\n");
    writeFileSync(join(folder, "bad"), "A='secret text\n");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const parse = (web: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    parseConfig({ services: { web: { port: 80, ...web } }, ...more }, folder);

  it("holds secrets; the service's own variables override it", () => {
    const config = parse({
      envFile: [".env", ".env.web"],
      env: { MODE: "own" },
      secretEnv: { TOKEN: "own" },
    });
    expect(config.services[0]).toMatchObject({
      env: { MODE: "own" },
      secretEnv: { TOKEN: "own", LEVEL: "2" },
    });
    expect(secretsOf(config)).toContain("2");
  });

  it("of the stack is every service's that names none", () => {
    const services = { web: { port: 80 }, worker: { envFile: ".env.web" }, bare: { envFile: [] } };
    const config = parseConfig({ envFile: ".env", services }, folder);
    expect(config.services.map(({ secretEnv }) => Object.keys(secretEnv))).toEqual([
      ["TOKEN", "MODE", "LEVEL"],
      ["LEVEL"],
      [],
    ]);
  });

  it("that is missing stops `up` alone", () => {
    const config = parse({ envFile: "gone.env" });
    expect(problemsForUp(config)).toEqual([
      "watch-party:services.web.envFile names the file gone.env, which is not there; allowed: a file beside the stack's configuration",
    ]);
  });

  it("that cannot be read is an error with its line, and without its text", () => {
    expect(() => parse({ envFile: "bad" })).toThrow(
      "watch-party:services.web.envFile names the file bad; line 1: the quote of A does not end",
    );
    expect(() => parse({ envFile: "bad" })).not.toThrow("secret text");
  });
});
