import { describe, expect, it } from "@jest/globals";
import type { DeployRecord, ReleaseRecord } from "../../release/record";
import { deployer, leftBy, nextRecord, releaseNamed } from "../../release/releases";

const plugins = { docker: "5.2.0", command: "1.2.1" };
const made = { commit: "", platform: "linux/amd64" as const, rebuild: "", services: {} };
const release = (commit: string, build = commit): ReleaseRecord => ({
  ...{
    commit,
    build: { key: build, id: build },
    images: {},
    source: [],
    made,
    time: "",
    by: "me",
    seconds: 1,
  },
  versions: { engine: "1", docker: "1", pulumi: "1", plugins },
});
const run = { key: "run", id: "run" };
const deployment = {} as DeployRecord["deployment"];
const record = (current: ReleaseRecord, releases: ReleaseRecord[], left?: string): DeployRecord => ({
  ...{ run, deployment, current, releases },
  ...(left === undefined ? {} : { left }),
});
const [a, b, c] = ["aaa1", "bbb2", "ccc3"].map((commit) => release(commit)) as [
  ReleaseRecord,
  ReleaseRecord,
  ReleaseRecord,
];

describe("the record of a deploy", () => {
  const remembered = (last: DeployRecord | undefined, current: ReleaseRecord, keep = 2, left?: string) => {
    const next = nextRecord(last, { run, deployment, now: current, left }, keep);
    return [next.current.commit, next.releases.map(({ build }) => build.id), next.left];
  };

  it.each([
    ["the first release", undefined, a, ["aaa1", ["aaa1"], undefined]],
    ["a new one, before the others", record(a, [a]), b, ["bbb2", ["bbb2", "aaa1"], undefined]],
    ["at most the number that is kept", record(b, [b, a]), c, ["ccc3", ["ccc3", "bbb2"], undefined]],
    ["the same one once", record(b, [b, a]), b, ["bbb2", ["bbb2", "aaa1"], undefined]],
  ])("is %s", (_, last, current, expected) => expect(remembered(last, current)).toEqual(expected));

  it("has only the last build of a commit that was built twice", () => {
    expect(remembered(record(a, [a]), release("aaa1", "again"))).toEqual(["aaa1", ["again"], undefined]);
  });

  it("keeps the order after a rollback, and the running release at any age", () => {
    expect(remembered(record(c, [c, b, a]), a, 3, "ccc3")).toEqual([
      "aaa1",
      ["ccc3", "bbb2", "aaa1"],
      "ccc3",
    ]);
    expect(remembered(record(a, [c, b, a], "ccc3"), a, 1, "ccc3")).toEqual([
      "aaa1",
      ["ccc3", "aaa1"],
      "ccc3",
    ]);
  });
});

it("remembers the commit that the first of several rollbacks left, until it runs again", () => {
  expect(leftBy(record(c, [c, b, a]), b)).toBe("ccc3");
  expect(leftBy(record(b, [c, b, a], "ccc3"), a)).toBe("ccc3");
  expect(leftBy(record(a, [c, b, a], "ccc3"), c)).toBeUndefined();
});

it("finds a release by the first digits of its commit, and lists the kept ones", () => {
  const all = record(c, [c, b, release("bbb9")]);
  expect(releaseNamed(all, "ccc")).toBe(c);
  expect(() => releaseNamed(all, "bbb")).toThrow(
    "there is more than one release bbb; kept are: ccc3, bbb2, bbb9",
  );
  expect(() => releaseNamed(undefined, "x")).toThrow("there is no release x; kept are: none");
});

it("names the user who triggered CI, otherwise this machine's user", () => {
  expect(deployer({ GITHUB_ACTOR: "ada" })).toBe("ada");
  expect(deployer({})).toMatch(/./);
});
