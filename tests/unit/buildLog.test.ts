import { describe, expect, it } from "@jest/globals";
import { BinaryWriter } from "google-protobuf";
import { hideArgs, lastLines } from "../../engine/buildLog";
import { BuildTrace } from "../../engine/buildTrace";

describe("the values of build args in a log", () => {
  it.each([
    ["a secret by its name, however short", { API_TOKEN: "t0k" }, "with t0k", "with [build arg API_TOKEN]"],
    ["a value of six characters", { SETTINGS: "abcdef" }, "abcdef", "[build arg SETTINGS]"],
    ["a long value, whatever its name", { VERSION: "v".repeat(101) }, "v".repeat(101), "[build arg VERSION]"],
    ["each line of a value", { CERT: "line one\nline two" }, "line two", "[build arg CERT]"],
    [
      "a value that holds another",
      { A: "secret", B: "secret-b" },
      "secret-b secret",
      "[build arg B] [build arg A]",
    ],
  ] as const)("hides %s", (_, args, said, shown) => expect(hideArgs(said, args)).toBe(shown));

  it.each([
    ["the commit", { GIT_COMMIT_HASH: "abcdef1234" }, "built abcdef1234"],
    ["node's options", { NODE_OPTIONS: "--max-old-space-size=2048" }, "--max-old-space-size=2048"],
    ["a value that is a common word", { MODE: "on" }, "turned on"],
    ["everything with an empty arg", { EMPTY: "" }, "as it is"],
  ] as const)("shows %s", (_, args, said) => expect(hideArgs(said, args)).toBe(said));
});

it("the last lines of a build have nothing that a terminal would act on", () =>
  expect(lastLines("\u001b[2Jone\u0007\r::two\u0000\n\n\u001b[31mthree")).toBe("one\n::two\nthree"));

describe("the output of a build's steps", () => {
  const step =
    (digest: string, name: string, error = "") =>
    (status: BinaryWriter) =>
      status.writeMessage(1, {}, (_: object, of: BinaryWriter) => {
        of.writeString(1, digest);
        of.writeString(3, name);
        if (error !== "") of.writeString(7, error);
      });
  const log = (digest: string, text: string) => (status: BinaryWriter) =>
    status.writeMessage(3, {}, (_: object, of: BinaryWriter) => {
      of.writeString(1, digest);
      of.writeInt32(3, 2);
      of.writeBytes(4, Buffer.from(text));
    });
  function line(...parts: ((status: BinaryWriter) => void)[]): string {
    const status = new BinaryWriter();
    for (const part of parts) part(status);
    const aux = Buffer.from(status.getResultBuffer()).toString("base64");
    return JSON.stringify({ id: "moby.buildkit.trace", aux });
  }

  it("is the output of the failed step", () => {
    const trace = new BuildTrace();
    trace.hear(line(step("sha256:a", "[1/3] RUN npm ci"), step("sha256:b", "[2/3] RUN tsc")));
    trace.hear(line(log("sha256:a", "added 3 packages\n"), log("sha256:b", "main.ts(1,2): error")));
    trace.hear(line(log("sha256:b", " TS2304\n"), step("sha256:b", "[2/3] RUN tsc", "exit code: 2")));
    trace.hear(JSON.stringify({ error: "exit code: 2", errorDetail: { message: "exit code: 2" } }));
    expect(trace.output()).toBe("[2/3] RUN tsc\nmain.ts(1,2): error TS2304\n");
    expect(trace.failure).toBe("exit code: 2");
  });

  it("is the output of all steps if no step is named", () => {
    const trace = new BuildTrace();
    trace.hear(line(step("sha256:a", "[1/1] RUN true"), log("sha256:a", "fine")));
    trace.hear(JSON.stringify({ stream: "of the old builder" }));
    expect(trace.output()).toBe("[1/1] RUN true\nfine");
    expect(trace.failure).toBe("");
  });
});
