import { describe, expect, it } from "@jest/globals";
import { parseReclaimed, pruneCommand } from "../../components/buildCachePrune";
import { attempt } from "../../components/lastDeploy";
import { releaseId } from "../../components/release";
import { healthCheck } from "../../components/webService";
import { HTTP_CLIENTS } from "../../engine/docker";

it.each([
  [
    "Deleted build cache objects:\nabc\n\nTotal reclaimed space: 1.234GB",
    { text: "1.234GB", bytes: 1_234_000_000 },
  ],
  ["Pruning…\nTotal reclaimed space: 0B", { text: "0B", bytes: 0 }],
  ["ID\tSIZE\nTotal:\t12.5MB\n", { text: "12.5MB", bytes: 12_500_000 }],
  ["Total reclaimed space: 3KiB", { text: "3KiB", bytes: 3072 }],
  ["something else", { text: "unknown", bytes: null }],
])("reads the reclaimed space of %j", (stdout, reclaimed) =>
  expect(parseReclaimed(stdout)).toEqual(reclaimed),
);

it.each([
  ["prune", / docker builder prune -f\)/],
  ["purge", / docker builder prune -af\)/],
] as const)("%s prunes the engine's own build cache and swallows no failure", (scope, command) => {
  expect(pruneCommand(scope)).toMatch(command);
  expect(pruneCommand(scope)).toContain("DOCKER_BUILDKIT=0");
  expect(pruneCommand(scope)).not.toContain("||");
});

describe("attempt", () => {
  it("stays the same while its inputs do", () => {
    const first = attempt({ a: 1 }, undefined);
    expect(attempt({ a: 1 }, first)).toBe(first);
    expect(attempt({ a: 2 }, first).id).not.toBe(first.id);
  });

  it("is a new one after a deploy that left no record", () => {
    expect(attempt({ a: 1 }, undefined).id).not.toBe(attempt({ a: 1 }, undefined).id);
  });
});

it("names a release by its commit, its attempt and its images", () => {
  const id = releaseId("0123456789abcdef", "a1", ["sha256:1"]);
  expect(id).toMatch(/^0123456-[0-9a-f]{8}$/);
  expect(releaseId("0123456789abcdef", "a1", ["sha256:2"])).not.toBe(id);
  expect(releaseId("0123456789abcdef", "a2", ["sha256:1"])).not.toBe(id);
});

it.each(HTTP_CLIENTS)("asks a service's health by %s, without a shell", (client) => {
  const { tests, startPeriod } = healthCheck(client, { port: 8000, health: "/healthz", startSeconds: 90 });
  expect(tests.slice(0, 2)).toEqual(["CMD", client]);
  expect(tests.join(" ")).toContain("http://127.0.0.1:8000/healthz");
  expect(startPeriod).toBe("1m30s");
});
