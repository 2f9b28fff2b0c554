import { describe, expect, it } from "@jest/globals";

import { edgesVerdict, fits, type PlaceFacts } from "../../freshness/served/edges";

const place: PlaceFacts = {
  ...{ id: "abc", node: "one", isHeard: true, takesTasks: true, role: "worker" },
  ...{ labels: { edge: "true" }, engineLabels: { "com.example.zone": "a" } },
};

describe("fits", () => {
  it.each([
    ["node.id==abc", true],
    ["node.id!=abc", false],
    ["node.hostname == ONE", true],
    ["node.role==manager", false],
    ["node.labels.edge==true", true],
    ["node.labels.edge!=true", false],
    ["node.labels.other==true", false],
    ["node.labels.other!=true", true],
    ["engine.labels.com.example.zone==a", true],
  ])("says of %s: %s", (constraint, expected) => expect(fits(constraint, place)).toBe(expected));
});

describe("edgesVerdict", () => {
  const running = { node: "two", state: "running", error: "" };

  it("is proven if an edge runs on each selected node, and if no node is selected", () => {
    expect(edgesVerdict([running, { ...running, node: "one" }])).toMatchObject({
      ...{ link: "served", service: "every service", status: "proven", found: "an edge on one, two too" },
    });
    expect(edgesVerdict([])).toMatchObject({ status: "proven", found: "only the manager's edge" });
  });

  it("is broken by a node whose edge does not run, with the cause if known", () => {
    const error = "host-mode port already in use";
    expect(
      edgesVerdict([
        running,
        { ...running, node: "one", state: "pending", error },
        { ...running, node: "three", state: "missing" },
      ]),
    ).toMatchObject({
      ...{ status: "broken", wrong: "the edge on one, three does not run" },
      found: `pending on one (${error}), missing on three`,
    });
  });
});
