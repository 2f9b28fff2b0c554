import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, jest } from "@jest/globals";
import execa from "execa";
import { capabilityName } from "../../components/run/capabilities";
import { seconds, swarmSeconds } from "../../components/run/durations";
import { healthCheck } from "../../components/run/healthCheck";
import { parsePrunedAt, parseReclaimed, pruneCommand, pruneWarning } from "../../engine/prune";
import { attempt } from "../../release/lastDeploy";
import { releaseId } from "../../release/releaseNames";
import { StepClock } from "../../release/stepClock";

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
  ["Pruning Docker build cache…\nTotal reclaimed space: 0B\nPruned at 2026-01-02T03:04:05Z", undefined],
  ["Total:\t0B", undefined],
  ["Pruning Docker build cache…\nReclaimed 5 things\nPruned at 2026-01-02T03:04:05Z", '"Reclaimed 5 things"'],
  ["Pruning Docker build cache…\n\nPruned at 2026-01-02T03:04:05Z", "nothing"],
  ["Total reclaimed space: a lot", '"Total reclaimed space: a lot"'],
])("warns of a prune that does not report the reclaimed space: %j", (stdout, found) => {
  const warning = found && expect.stringContaining(`expected "Total reclaimed space: …", found ${found}.`);
  expect(pruneWarning(stdout)).toEqual(warning);
});

describe("pruneCommand", () => {
  /** Runs the command with a docker that says what it was called with. */
  const run = async (scope: "prune" | "purge", held: string, failing = "") => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-prune-"));
    const script = `#!/bin/sh
echo "$DOCKER_BUILDKIT $*" >> ${folder}/calls
case "$*" in *"${failing || "nothing"}"*) echo refused >&2; exit 1;; esac
case "$1" in image) printf '${held}';; builder) printf 'abc\\n\\nTotal reclaimed space: 1kB\\n';; info) echo "Pruned at now";; esac
`;
    writeFileSync(join(folder, "docker"), script, { mode: 0o755 });
    const env = { PATH: `${folder}:${process.env.PATH}` };
    const { stdout, exitCode } = await execa("sh", ["-c", pruneCommand(scope, "abc123")], {
      env,
      reject: false,
    });
    const calls = readFileSync(join(folder, "calls"), "utf8");
    rmSync(folder, { recursive: true });
    return { stdout, exitCode, calls };
  };

  it.each([
    ["prune", "", "0 builder prune -f\n"],
    ["prune", "0123456789ab\\n", "0 builder prune -af\n"],
    ["purge", "", "0 builder prune -af\n"],
  ] as const)("%s, with images %j of the commit: %j", async (scope, held, call) => {
    const { stdout, exitCode, calls } = await run(scope, held);
    expect(exitCode).toBe(0);
    expect(calls).toContain(call);
    expect(stdout).toBe("Pruning Docker build cache…\nTotal reclaimed space: 1kB\nPruned at now");
  });

  it.each(["builder", "image ls", "info"])("fails when docker %s does", async (failing) => {
    expect((await run("prune", "", failing)).exitCode).not.toBe(0);
  });
});

it("reads when the prune ended", () => {
  expect(parsePrunedAt("Total reclaimed space: 1kB\nPruned at 2026-01-02T03:04:05.678Z\n")).toBe(
    "2026-01-02T03:04:05.678Z",
  );
  expect(parsePrunedAt("Total reclaimed space: 1kB")).toBe("");
});

describe("attempt", () => {
  it("stays the same while its inputs do", () => {
    const first = attempt({ a: 1 }, undefined);
    expect(attempt({ a: 1 }, first)).toBe(first);
    expect(attempt({ a: 2 }, first).id).not.toBe(first.id);
  });

  it("is new after a deploy without a record", () => {
    expect(attempt({ a: 1 }, undefined).id).not.toBe(attempt({ a: 1 }, undefined).id);
  });
});

it("names a release by its commit, its attempt and its images", () => {
  const id = releaseId("0123456789abcdef", "a1", ["sha256:1"]);
  expect(id).toMatch(/^0123456-[0-9a-f]{8}$/);
  expect(releaseId("0123456789abcdef", "a1", ["sha256:2"])).not.toBe(id);
  expect(releaseId("0123456789abcdef", "a2", ["sha256:1"])).not.toBe(id);
});

it.each([
  [1, "1s", "1s"],
  [59, "59s", "59s"],
  [60, "1m0s", "1m"],
  [90, "1m30s", "1m30s"],
  [600, "10m0s", "10m"],
  [3600, "1h0m0s", "1h"],
  [3660, "1h1m0s", "1h1m"],
])("%i seconds are %s in a container's state, and %s in a service's", (total, container, service) => {
  expect(seconds(total)).toBe(container);
  expect(swarmSeconds(total)).toBe(service);
});

it.each([
  ["NET_BIND_SERVICE", "CAP_NET_BIND_SERVICE"],
  ["CAP_CHOWN", "CAP_CHOWN"],
  ["ALL", "ALL"],
])("the capability %s is requested as %s", (name, asked) => expect(capabilityName(name)).toBe(asked));

describe("Docker's own health check", () => {
  it("waits for the service to start, and requests its path", () => {
    const service = { port: 8000, health: "/healthz", startSeconds: 90 };
    const { tests, startPeriod } = healthCheck(service, "https://app.test");
    expect(tests.slice(0, 3)).toEqual(["CMD", "/bin/sh", "-c"]);
    expect(tests.slice(5, 8)).toEqual(["8000", "/healthz", "Host: app.test"]);
    expect(tests).toContain("X-Forwarded-Proto: https");
    expect(startPeriod).toBe("1m30s");
  });

  it.each([
    ["wget", ["wget", "curl", "bash", "python3", "node"]],
    ["curl", ["curl", "bash", "python3", "node"]],
    ["bash", ["bash", "python3", "node"]],
    ["python3", ["python3", "node"]],
    ["node", ["node"]],
  ])("uses %s if the image has %j", async (asked, clients) => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-health-"));
    try {
      for (const client of clients)
        writeFileSync(
          join(folder, client),
          `#!/bin/sh\necho ${client} >> ${folder}/asked\necho ${client === "curl" ? "200" : "HTTP/1.1 200 OK"}\n`,
          { mode: 0o755 },
        );
      const [, file, ...args] = healthCheck(
        { port: 1, health: "/", startSeconds: 1 },
        "http://app.test",
      ).tests;
      await execa(file!, args, { env: { PATH: folder }, extendEnv: false });
      expect(readFileSync(join(folder, "asked"), "utf8").trim()).toBe(asked);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it("adds up the parts of a step that ends twice", () => {
  const now = jest.spyOn(performance, "now");
  for (const at of [0, 1000, 1500, 3504]) now.mockReturnValueOnce(at);
  const clock = new StepClock();
  for (const step of ["services", "proof", "services"]) clock.end(step);
  now.mockRestore();
  expect(clock.seconds()).toEqual({ services: 3, proof: 0.5, total: 3.5 });
});
