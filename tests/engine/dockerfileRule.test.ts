import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import fc from "fast-check";
import { dockerfileFindings, sourceSteps } from "../../freshness/dockerfile";
import { type GeneratedDockerfile, generatedDockerfiles } from "../support/dockerfiles";

const RUNS = process.env.WATCH_PARTY_FULL === "1" ? 200 : 20;
// Of the first 400 seeds the one whose 20 Dockerfiles tell the most wrong rules from the right one.
const SEED = Number(process.env.WATCH_PARTY_SEED ?? 354);
/** Two at a time: most of a build is waiting. */
const LANES = 2;
const COMMITS = ["a".repeat(40), "b".repeat(40)];

let folder: string;
const images = new Set<string>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "watch-party-dockerfiles-"));
  await execa("docker", ["version"], { env: { DOCKER_BUILDKIT: "1" } });
});

afterAll(async () => {
  if (images.size > 0) await execa("docker", ["rmi", "--force", ...images], { reject: false });
  rmSync(folder, { recursive: true, force: true });
});

describe("the rule of the link dockerfile, compared with the engine", () => {
  it(
    `says of ${RUNS} Dockerfiles made up by chance what BuildKit does with them`,
    async () => {
      const lanes = Array.from({ length: LANES }, (_, lane) =>
        fc.assert(fc.asyncProperty(generatedDockerfiles, agrees), {
          seed: SEED + lane,
          numRuns: RUNS / LANES,
          interruptAfterTimeLimit: RUNS * 10_000,
          markInterruptAsFailure: true,
        }),
      );
      await Promise.all(lanes);
    },
    RUNS * 15_000,
  );
});

/** Builds for two commits and compares; what another process pruned meanwhile is built once more. */
async function agrees(generated: GeneratedDockerfile): Promise<void> {
  const input = {
    service: "app",
    path: "Dockerfile",
    dockerfile: generated.text,
    args: generated.args,
    commitFile: "/app/COMMIT",
    ...(generated.target !== undefined && { target: generated.target }),
  };
  const steps = sourceSteps(input);
  const predicted = steps.map((step) => `${step.stage}:${step.line} ${step.reruns ? "runs" : "cached"}`);
  let seen: string[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const vertices = await buildTwice(generated);
    seen = steps.map(({ stage, line }) => {
      const ran = vertices(stage, markAt(generated.text, line));
      return `${stage}:${line} ${ran ? "runs" : "cached"}`;
    });
    if (seen.join() === predicted.join()) break;
  }
  expect(predicted).toEqual(seen);
  const isProven = dockerfileFindings(input).length === 0;
  // A copy from another stage may come from the cache: it is compared with that stage.
  const fromContext = seen.filter((_, at) => steps[at]?.from === "context");
  expect(isProven).toBe(seen.length > 0 && fromContext.every((step) => step.endsWith("runs")));
}

/** A text by which BuildKit's output shows the instruction at this line and no other. */
function markAt(text: string, line: number): string {
  const rest = text
    .split("\n")
    .slice(line - 1)
    .join("\n");
  if (/^COPY --from=\S+ \S+ \/app\/COMMIT\n/.test(rest)) return rest.slice(0, rest.indexOf("\n"));
  return /\/app\/d\d+-/.exec(rest)![0];
}

/** Builds with one commit, then with the other, from the same files. Returns whether a step ran the second time. */
async function buildTwice(generated: GeneratedDockerfile): Promise<(stage: string, mark: string) => boolean> {
  const nonce = Math.random().toString(36).slice(2, 10);
  const context = mkdtempSync(join(folder, "context-"));
  mkdirSync(join(context, "src"));
  for (const file of ["a.txt", "package.json", "src/b.txt"])
    writeFileSync(join(context, file), `${file} ${nonce}\n`);
  writeFileSync(join(context, "Dockerfile"), generated.text.replaceAll("NONCE", nonce));
  let output = "";
  for (const commit of COMMITS) {
    const args = { ...generated.args, GIT_COMMIT_HASH: commit };
    const { all = "" } = await execa(
      "docker",
      [
        "build",
        "--progress=plain",
        ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
        ...(generated.target === undefined ? [] : ["--target", generated.target]),
        context,
      ],
      { all: true, env: { DOCKER_BUILDKIT: "1" } },
    );
    output = all;
    for (const [, id] of all.matchAll(/writing image (sha256:[0-9a-f]{64})/g)) images.add(id!);
  }
  rmSync(context, { recursive: true });
  return reader(output);
}

/** Reads BuildKit's plain progress: `#7 [builder 2/4] COPY a b`, then `#7 CACHED` or `#7 DONE 0.1s`. */
function reader(output: string): (stage: string, mark: string) => boolean {
  const vertices = [...output.matchAll(/^#(\d+) \[(?:(\S+) )?\d+\/\d+\] (.*)$/gm)].map(
    ([, id, stage, text]) => ({
      stage: stage ?? "",
      text: text!,
      ran: !new RegExp(`^#${id} CACHED$`, "m").test(output) && new RegExp(`^#${id} DONE`, "m").test(output),
    }),
  );
  return (stage, mark) => {
    const holding = vertices.filter(({ text }) => text.includes(mark));
    // One step that two stages share is one vertex, named by one of them; a single stage is not named.
    return (holding.find((vertex) => vertex.stage === stage) ?? holding[0])?.ran ?? false;
  };
}
