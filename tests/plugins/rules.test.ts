/** The pure rules of the stand-ins, where the contract shows only their outcome. */

import { describe, expect, it } from "@jest/globals";
import { dialProblem } from "../../packages/stand-ins/plugins/command/ssh";
import { buildArguments, buildFailure } from "../../packages/stand-ins/plugins/docker/build";
import { nanoseconds } from "../../packages/stand-ins/plugins/docker/container-request";
import { parseDockerignore } from "../../packages/stand-ins/plugins/docker/dockerignore";
import { tarOf } from "../../packages/stand-ins/plugins/docker/tar";
import { hasUnknown, normalise, reveal, secret, UNKNOWN } from "../../packages/stand-ins/plugins/values";

describe(".dockerignore", () => {
  const cases: [rules: string, path: string, excluded: boolean][] = [
    ["node_modules", "node_modules/a/b.js", true],
    ["node_modules", "app/node_modules/a.js", false],
    ["**/node_modules", "app/node_modules/a.js", true],
    ["/dist/", "dist/x", true],
    ["./a/../b", "b", true],
    ["*.log", "x.log", true],
    ["*.log", "logs/x.log", false],
    ["**/*.log", "logs/deep/x.log", true],
    ["a?c", "abc", true],
    ["[ab].txt", "b.txt", true],
    ["# comment\n\nx", "# comment", false],
    ["*\n!keep", "keep/file", false],
    ["*\n!keep\nkeep/secret", "keep/secret", true],
    ["a.b", "axb", false],
    ["**", "any/thing", true],
  ];
  it.each(cases)("%j and %s: %s", (rules, path, excluded) => {
    expect(parseDockerignore(rules).excludes(path)).toBe(excluded);
  });
});

describe("the error of a failed build", () => {
  const said = [
    "#5 [2/2] RUN exit 7",
    ...Array.from({ length: 40 }, (_, n) => `#5 line ${n}`),
    "ERROR: failed to solve: exit code: 7",
  ];

  it("starts with the recorded words and ends with the last lines of the output", () => {
    const message = buildFailure(said, {});
    expect(message).toMatch(/^error reading build output: exit code: 7\n/);
    expect(message).toContain("#5 line 39");
    expect(message).not.toContain("#5 line 10\n");
  });

  it("hides the values of build args, except public ones", () => {
    const args = { SIGNING_TOKEN: "hunter2hunter2", GIT_COMMIT_HASH: "abcdef1" };
    const message = buildFailure(["hunter2hunter2 at abcdef1"], args);
    expect(message).not.toContain("hunter2hunter2");
    expect(message).toContain("[build arg SIGNING_TOKEN] at abcdef1");
  });
});

it("build args are in the environment, not on the command line, unless they would change docker's behaviour", () => {
  expect(buildArguments({ args: { TOKEN: "t", HTTP_PROXY: "p" } })).toEqual({
    args: ["--build-arg", "TOKEN", "--build-arg", "HTTP_PROXY=p"],
    environment: { TOKEN: "t" },
  });
});

it.each([
  ["0s", 0],
  ["500ms", 5e8],
  ["1m30s", 90e9],
  ["1.5s", 15e8],
])("the duration %s", (written, wanted) => {
  expect(nanoseconds(written)).toBe(wanted);
});

it("an invalid duration is refused", () => {
  expect(() => nanoseconds("10 seconds")).toThrow('found "10 seconds", should be a duration such as "10s"');
});

it.each([
  ["ssh: connect to host h port 22: Connection refused", "dial tcp h:22: connect: connection refused"],
  ["ssh: connect to host h port 22: Connection timed out", "dial tcp h:22: i/o timeout"],
  ["ssh: Could not resolve hostname h: Name or service not known", "dial tcp: lookup h: no such host"],
  ["Host key verification failed.", "ssh: handshake failed: ssh: host key mismatch"],
])("%s", (said, wanted) => {
  expect(dialProblem(said, { host: "h", port: 22, user: "u", dialErrorLimit: 1, perDialTimeout: 1 })).toBe(
    wanted,
  );
});

it("an archive supports long paths", () => {
  const path = `/etc/${"x".repeat(120)}`;
  const archive = tarOf(path, Buffer.from("content"), 0o644);
  expect(archive.length % 512).toBe(0);
  expect(archive.toString("latin1")).toContain(path.slice(1));
});

describe("values", () => {
  it("an output value is known, unknown or secret", () => {
    const output = { "4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4" };
    expect(normalise({ a: { ...output, value: 1 } })).toEqual({ a: 1 });
    expect(normalise({ ...output })).toBe(UNKNOWN);
    expect(normalise({ ...output, value: "x", secret: true })).toEqual(secret("x"));
  });

  it("secrets are unwrapped and unknowns found at any depth", () => {
    expect(reveal({ a: [secret({ b: secret("c") })] })).toEqual({ a: [{ b: "c" }] });
    expect(hasUnknown({ a: [{ b: UNKNOWN }] })).toBe(true);
  });
});
