import { describe, expect, it } from "@jest/globals";
import {
  nodesVerdict,
  replicasVerdict,
  sharersVerdict,
  type TaskFacts,
} from "../../freshness/container/replicas";

const NOW = "registry:5000/app@sha256:bb";
const task = (other: Partial<TaskFacts> = {}): TaskFacts => ({
  ...{ id: "t", node: "one", state: "running", isHeard: true, image: NOW },
  ...other,
});

describe("replicasVerdict", () => {
  it("is proven if all replicas run, and names their nodes", () => {
    expect(replicasVerdict("web", NOW, 2, [task(), task({ node: "two" })])).toMatchObject({
      ...{ link: "container", service: "web", status: "proven", evidence: "tasks on one, two" },
    });
  });

  it.each<[string, TaskFacts[], string]>([
    ["one too few", [task()], `1 running of ${NOW}`],
    ["one too many", [task(), task(), task()], `3 running of ${NOW}`],
    ["none, of a removed service", [], `0 running of ${NOW}`],
    [
      "one of another image",
      [task(), task({ image: "old", node: "two" })],
      `1 running of ${NOW}, one running of old on two`,
    ],
    [
      "one more with another image",
      [task(), task(), task({ image: "old" })],
      `2 running of ${NOW}, one running of old on one`,
    ],
    [
      "one that is not healthy yet",
      [task(), task({ state: "starting" })],
      `1 running of ${NOW}, one starting of ${NOW} on one`,
    ],
    [
      "one on a node that is cut off",
      [task(), task({ node: "two", isHeard: false })],
      `1 running of ${NOW}, one on two, which is unreachable`,
    ],
  ])("is broken by %s", (_, tasks, found) => {
    expect(replicasVerdict("web", NOW, 2, tasks)).toMatchObject({ status: "broken", found });
  });
});

describe("nodesVerdict", () => {
  it("skips unreachable nodes, without proof or refusal", () => {
    const [one, two] = [
      { node: "one", isHeard: true },
      { node: "two", isHeard: false },
    ];
    expect(nodesVerdict([one])).toMatchObject({ service: "every service", status: "proven" });
    expect(nodesVerdict([one, two])).toMatchObject({
      ...{
        link: "container",
        status: "not checked",
        found: "tasks may still run on two, which the Swarm does not reach",
      },
    });
  });
});

describe("sharersVerdict", () => {
  it("is broken by another service with that host name", () => {
    expect(sharersVerdict("web", "web-1", [])).toMatchObject({ status: "proven" });
    expect(sharersVerdict("web", "web-1", ["web-old"])).toMatchObject({
      ...{ status: "broken", found: "shared with web-old" },
    });
  });
});
