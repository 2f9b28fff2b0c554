import { describe, expect, it } from "@jest/globals";
import { childEnvironment } from "../../config/environment";
import {
  changedSources,
  changesVerdict,
  isWrittenByTools,
  type LayerStep,
} from "../../freshness/bytes/changed";
import type { Files, ImageFile } from "../../freshness/files";

const file = (hash: string): ImageFile => ({ kind: "file", hash, executable: false });
const link = (target: string): ImageFile => ({
  kind: "link",
  hash: `-> ${target}`,
  executable: false,
  target,
});
const files = (entries: Record<string, ImageFile>): Files => new Map(Object.entries(entries));
const copy = (entries: Record<string, ImageFile>): LayerStep => ({ where: "COPY", placed: files(entries) });
const run = (entries: Record<string, ImageFile>, where = "RUN"): LayerStep => ({
  where,
  wrote: files(entries),
});

const SOURCES = copy({
  "app/main.py": file("new"),
  "app/lib/a.py": file("a"),
  "app/old/main.py": file("old"),
});

describe("the sources that a later step changed", () => {
  it.each<[string, LayerStep[], string[]]>([
    ["none", [SOURCES], []],
    ["none if other files are written", [SOURCES, run({ "app/made.js": file("x") })], []],
    ["none if the same bytes are written", [SOURCES, run({ "app/main.py": file("new") })], []],
    ["one that is written", [SOURCES, run({ "app/main.py": file("old") })], ["app/main.py old RUN"]],
    [
      "the last writer's",
      [SOURCES, run({ "app/main.py": file("x") }, "one"), run({ "app/main.py": file("y") }, "two")],
      ["app/main.py y two"],
    ],
    [
      "none that a COPY places again",
      [SOURCES, run({ "app/main.py": file("old") }), copy({ "app/main.py": file("new") })],
      [],
    ],
    ["none if a step precedes the COPY", [run({ "app/main.py": file("old") }), SOURCES], []],
    [
      "one that becomes a link",
      [SOURCES, run({ "app/main.py": link("old/main.py") })],
      ["app/main.py old RUN"],
    ],
    [
      "one that becomes a link to a link",
      [SOURCES, run({ "app/main.py": link("/x"), x: link("app/old/main.py") })],
      ["app/main.py old RUN"],
    ],
    [
      "those of a folder that becomes a link",
      [SOURCES, run({ "app/lib": link("other"), "app/other/a.py": file("b") })],
      ["app/lib/a.py b RUN"],
    ],
    ["none for a dangling link", [SOURCES, run({ "app/main.py": link("nowhere") })], []],
    ["none for circular links", [SOURCES, run({ "app/main.py": link("b"), "app/b": link("main.py") })], []],
    [
      "none if a source is an unchanged link",
      [copy({ a: link("b"), b: file("b") }), run({ c: file("c") })],
      [],
    ],
    ["a link that is changed", [copy({ a: link("b"), b: file("b") }), run({ a: link("c") })], ["a -> c RUN"]],
  ])("are %s", (_, steps, expected) => {
    expect(changedSources(steps).map(({ path, hash, where }) => `${path} ${hash} ${where}`)).toEqual(
      expected,
    );
  });

  it("break the link if one is an earlier revision, and are listed otherwise", () => {
    const change = { where: "RUN make (Dockerfile:9)", path: "app/main.py", hash: "x" };
    expect(changesVerdict("web", [], true)).toBeUndefined();
    expect(changesVerdict("web", [{ ...change, isEarlier: false }], true)).toMatchObject({
      status: "proven",
      found: "RUN make (Dockerfile:9) changed 1 file: /app/main.py",
    });
    expect(changesVerdict("web", [{ ...change, isEarlier: false }], false)?.status).toBe("not checked");
    expect(changesVerdict("web", [{ ...change, isEarlier: true }], true)).toMatchObject({
      status: "broken",
      wrong: "RUN make (Dockerfile:9) replaced the commit's file with an earlier revision",
      found: "the bytes of another revision in 1 file: /app/main.py",
    });
  });

  it.each([
    ["next-env.d.ts", true],
    ["web/tsconfig.json", true],
    ["jsconfig.build.json", true],
    ["main.ts", false],
    ["config.json", false],
  ])("are excluded if tools write them: %s %p", (path, written) => {
    expect(isWrittenByTools(path)).toBe(written);
  });
});

it("a child process gets the variables that it needs, and no secret", () => {
  const from = {
    PATH: "/bin",
    HOME: "/root",
    https_proxy: "http://proxy",
    DOCKER_HOST: "unix:///x",
    GIT_DIR: ".",
    GIT_SSH_COMMAND: "ssh -4",
    PULUMI_CONFIG: "secret",
    PULUMI_CONFIG_PASSPHRASE: "secret",
    WATCH_PARTY_SERVER_KEY_PROD: "secret",
    GITHUB_TOKEN: "secret",
  };
  const common = { PATH: "/bin", HOME: "/root", https_proxy: "http://proxy" };
  expect(childEnvironment("ssh", {}, from)).toEqual(common);
  expect(childEnvironment("docker", {}, from)).toEqual({ ...common, DOCKER_HOST: "unix:///x" });
  expect(childEnvironment("git", { A: "1" }, from)).toEqual({ ...common, GIT_SSH_COMMAND: "ssh -4", A: "1" });
  expect(childEnvironment("pulumi", {}, from)).toEqual({ ...common, PULUMI_CONFIG_PASSPHRASE: "secret" });
});
