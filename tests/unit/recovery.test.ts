import { describe, expect, it } from "@jest/globals";
import { keptReleasesVerdict } from "../../freshness/image/releases";
import { edgeFilesVerdicts } from "../../freshness/served/edge";
import type { Deployment } from "../../proof/deployment";
import { provenBuild } from "../../release/provenBuild";
import { hasContainersOf, idsIn, type StackState } from "../../release/stackState";
import { strayMessage } from "../../release/standing";

const resource = (type: string, name: string, outputs: Record<string, unknown>) => ({ type, name, outputs });
const container = (name: string, id: string) => resource("docker:index/container:Container", name, { id });

describe("the resources in the state", () => {
  const state: StackState = [
    container("edge", "e"),
    container("backend", "b2"),
    resource("docker:index/volume:Volume", "edge-routes", { id: "edge-routes-1" }),
    resource("docker:index/image:Image", "backend", { id: "image" }),
  ];
  const of = (id: string) => ({ services: [{ container: id }] }) as unknown as Deployment;

  it("are compared with the engine by the IDs of its containers", () =>
    expect(idsIn(state)).toEqual(["e", "b2", "edge-routes-1"]));
  it.each([
    ["b2", true],
    // A deploy that did not end has made b2 in its place.
    ["b1", false],
  ])("have the container %s of the last deploy: %s", (id, has) =>
    expect(hasContainersOf(state, of(id))).toBe(has),
  );
});

describe("the images of a deploy that failed", () => {
  const attempt = { key: "k", id: "i" };
  const image = (digest: string, more = {}) => ({ digest, healthClient: "sh", verdicts: [], ...more });
  const proven = (name: string, digest: string, more = {}) =>
    resource("watch-party:index:FreshImage", name, {
      proven: { attempt, image: image(digest), bases: { debian: "sha256:d" }, ...more },
    });
  const built = (name: string, repoDigest: string) =>
    resource("docker:index/image:Image", name, { repoDigest });
  const prune = (id: string) => resource("command:local:Command", "prune", { triggers: [id] });
  const all = [prune("i"), proven("a", "1"), built("a", "1"), proven("b", "2"), built("b", "2")];
  const find = (state: StackState, key = "k") => provenBuild(state, key, ["a", "b"])?.attempt;

  it("are reused if all of them are proven", () => {
    expect(provenBuild(all, "k", ["a", "b"])).toEqual({
      attempt,
      bases: { debian: "sha256:d" },
      images: { a: image("1"), b: image("2") },
      dependencies: {},
    });
  });
  it("are reused with their dependency images", () => {
    const held = { key: "d", id: "h", tag: "t" };
    const state = [prune("i"), proven("a", "1", { held }), built("a", "1")];
    expect(provenBuild(state, "k", ["a"])?.dependencies).toEqual({ a: held });
  });
  it("are identified by their first build if built twice", () => {
    const twice = { image: image("2", { replaces: "1" }) };
    expect(provenBuild([prune("i"), proven("a", "", twice), built("a", "1")], "k", ["a"])?.attempt).toBe(
      attempt,
    );
  });
  it("are not reused with other settings", () => expect(find(all, "other")).toBeUndefined());
  it.each<[string, StackState]>([
    ["one of them is not proven", all.filter(({ name, type }) => name !== "b" || !type.includes("Fresh"))],
    ["one of them was built again since", [...all.slice(0, 4), built("b", "3")]],
    ["the engine was pruned for another attempt since", [prune("other"), ...all.slice(1)]],
    [
      "they are of two attempts",
      [...all.slice(0, 3), proven("b", "2", { attempt: { key: "k", id: "j" } }), built("b", "2")],
    ],
    ["the state is empty", []],
  ])("are not reused if %s", (_, state) => expect(find(state)).toBeUndefined());
});

describe("the edge's volume", () => {
  const builds = new Map([["a".repeat(40), "b1"]]);
  const judge = (files: Parameters<typeof edgeFilesVerdicts>[2]) =>
    edgeFilesVerdicts("r", builds, files).map(({ link, status }) => `${link} ${status}`);
  it("is proven if it names a release and has the kept assets", () =>
    expect(judge({ state: {}, kept: ["b1", "b2"] })).toEqual(["served proven"]));
  it("is broken if it is empty", () =>
    expect(judge({ kept: [] })).toEqual(["served broken", "browser broken"]));
  it("is broken if Caddy was given another configuration than the deploy's", () =>
    expect(judge({ state: {}, kept: ["b1"], isChanged: true })).toEqual(["served proven", "served broken"]));
  it("is broken if assets are lost", () =>
    expect(judge({ state: {}, kept: ["b2"] })).toEqual(["served proven", "browser broken"]));
});

describe("kept releases", () => {
  it("are not reported while all of their images exist", () =>
    expect(keptReleasesVerdict("prod", 5, new Map())).toEqual([]));
  it("are reported if images are gone, with the command that rebuilds them", () => {
    const gone = new Map([["a".repeat(40), ["frontend", "backend"]]]);
    expect(keptReleasesVerdict("prod", 5, gone)).toMatchObject([
      {
        status: "not checked",
        expected: "the images of 5 kept releases",
        found: `release aaaaaaaaaaaa (no image of frontend and backend) cannot be rolled back to; build it with "WATCH_PARTY_COMMIT=${"a".repeat(40)} npm run up -- --stack prod --allow-older"`,
      },
    ]);
  });
});

it("running resources outside the state are listed, with each remedy", () => {
  const stray = { running: true, volumes: [], networks: [] };
  const message = strayMessage("prod", {
    containers: [
      { ...stray, id: "1", name: "edge-1", service: "edge", release: "abc-1" },
      { ...stray, id: "2", name: "backend-1", service: "backend", running: false },
    ],
    others: [{ kind: "network", id: "3", name: "edge-network-1" }],
    volumes: ["data-1"],
    missing: [],
  });
  expect(message).toContain(
    "containers edge-1 (serves release abc-1), backend-1 (stopped); network edge-network-1; volume data-1",
  );
  for (const way of [
    "up -- --stack prod --adopt",
    "leftovers -- --stack prod --remove",
    "another stack name",
  ])
    expect(message).toContain(way);
});
