import { describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { asRead, changedProblems, parseStackText } from "../../config/text";

const file = (env: string) =>
  `config:\n  watch-party:services:\n    web:\n      env:\n        VALUE: ${env}\n`;
const problems = (text: string, given?: Record<string, unknown>) =>
  changedProblems(parseStackText(text).changed, "watch-party", given);
const given = (value: unknown) => ({ "watch-party:services": { web: { env: { VALUE: value } } } });

describe("a value of a stack's file", () => {
  it.each([
    "123456789012345678",
    "9223372036854775807",
    "-9223372036854775808",
    "-1",
    "0",
    "1.5",
    "12345678.12345678",
    "true",
    "yes",
    "on",
    "NO",
    "12:30:45",
    "1.2.3",
    "127.0.0.1",
    "+49 30 1234",
    "1e99999",
    "a_b",
    "0x",
    '"0123"',
    '"1.10"',
    "'2024-01-01'",
    "!!str 0123",
  ])("stays as written: %s", (written) => {
    expect(problems(file(written))).toEqual([]);
    const { config } = parseStackText(file(written));
    const { services } = parseConfig({ services: config["watch-party:services"] });
    expect(services[0]?.env.VALUE).toBe(written.replace(/^!!str /, "").replace(/^(["'])(.*)\1$/, "$2"));
  });

  it.each([
    ["0123", "83"],
    ["0o17", "15"],
    ["0b11", "3"],
    ["0x1F", "31"],
    ["089", "89"],
    ["1_000", "1000"],
    ["+5", "5"],
    ["-0", "0"],
    ["1e3", "1000"],
    ["1.10", "1.1"],
    ["1.", "1"],
    [".5", "0.5"],
    ["12345678.123456789", "12345678.12345679"],
    ["9223372036854775808", "9223372036854776000"],
    ["18446744073709551615", "18446744073709552000"],
    ["1234567890123456789012", "1.2345678901234568e+21"],
    ["True", "true"],
    ["FALSE", "false"],
    [".inf", "a value that Pulumi cannot store"],
    ["2024-01-01", "a time"],
    ["2024-01-01T10:00:00Z", "a time"],
  ])("is refused if the CLI changes it: %s becomes %s", (written, read) => {
    expect(asRead(written)).toBe(read);
    expect(problems(file(written))).toEqual([
      `watch-party:services.web.env.VALUE is ${written} without quotes, which Pulumi reads as ${read}; allowed: "${written}" in quotes`,
    ]);
    expect(problems(file(`"${written}"`))).toEqual([]);
  });

  it("is judged in lists and at the top too, and in no other namespace", () => {
    const text =
      "config:\n  watch-party:commit: 0123456\n  other:key: 0123\n  watch-party:services:\n    web:\n      releaseCommand: [migrate, 1.10]\n";
    expect(problems(text).map((problem) => problem.split(" ")[0])).toEqual([
      "watch-party:commit",
      "watch-party:services.web.releaseCommand.1",
    ]);
  });

  it("is read through its anchor", () => {
    const text =
      "config:\n  watch-party:services:\n    web: &web\n      env: { ID: 123456789012345678 }\n    other: *web\n";
    const { config } = parseStackText(text);
    const { services } = parseConfig({ services: config["watch-party:services"] });
    expect(services.map(({ env }) => env)).toEqual([
      { ID: "123456789012345678" },
      { ID: "123456789012345678" },
    ]);
  });

  it("is not printed if it is secret", () => {
    const text = "config:\n  watch-party:services:\n    web:\n      secretEnv:\n        PIN: 0123\n";
    expect(problems(text)).toEqual([
      "watch-party:services.web.secretEnv.PIN is an unquoted value that Pulumi changes; allowed: the same in quotes",
    ]);
  });

  it("is judged in the program only if the CLI has read this file", () => {
    expect(problems(file("0123"), given("83"))).toHaveLength(1);
    expect(problems(file("0123"), given("7"))).toEqual([]);
    expect(problems(file("2024-01-01"), given("2024-01-01 00:00:00 +0000 UTC"))).toHaveLength(1);
    expect(problems(file("True"), given(true))).toHaveLength(1);
  });
});

it("keeps numbers of the CLI's JSON as written", () => {
  const services = '{"web":{"port":3000,"env":{"ID":123456789012345678,"RATE":1.50,"ON":true}}}';
  expect(parseConfig({ services }).services[0]).toMatchObject({
    port: 3000,
    env: { ID: "123456789012345678", RATE: "1.50", ON: "true" },
  });
});

it("refuses an empty value and a number with a leading zero, by key", () => {
  const { config } = parseStackText(
    'config:\n  watch-party:services:\n    web:\n      memoryMb: "0512"\n      env: { A: ~, B: }\n',
  );
  const parse = () => parseConfig({ services: config["watch-party:services"] });
  expect(parse).toThrow(/services\.web\.memoryMb is "0512"; allowed: a whole number/);
  expect(parse).toThrow(/services\.web\.env\.A is null; allowed: a text/);
  expect(parse).toThrow(/services\.web\.env\.B is null; allowed: a text/);
});
