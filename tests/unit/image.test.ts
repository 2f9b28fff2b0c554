import { describe, expect, it } from "@jest/globals";
import { readStages } from "../../freshness/dockerfile/stages";
import {
  type HistoryEntry,
  type ImageFacts,
  imageVerdict,
  isNewer,
  madeFromSource,
  matchHistory,
  nameStep,
} from "../../freshness/image";
import { layerFolders } from "../../proof/imageFiles";

const DOCKERFILE = `FROM base AS deps
WORKDIR /app
COPY package.json ./
RUN npm ci
FROM deps AS builder
ARG GIT_COMMIT_HASH
RUN printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
COPY . .
RUN npm run build
FROM base
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY --from=builder /app/COMMIT ./COMMIT
COPY --from=builder /app/dist ./dist
USER node
`;
const stages = readStages(DOCKERFILE, {});
const entry = (createdBy: string, second: number, empty = false): HistoryEntry => ({
  createdBy,
  created: `2026-11-23T02:00:${String(second).padStart(2, "0")}.5Z`,
  empty,
});
const BASE = [entry("", 0), entry('/bin/sh -c #(nop)  CMD ["bash"]', 0, true)];
const BUILDER = [
  ...BASE,
  entry("WORKDIR /app", 1),
  entry("COPY package.json ./ # buildkit", 2),
  entry("RUN /bin/sh -c npm ci # buildkit", 3),
  entry("ARG GIT_COMMIT_HASH", 4, true),
  entry("RUN |1 GIT_COMMIT_HASH=1 /bin/sh -c printf # buildkit", 11),
  entry("COPY . . # buildkit", 12),
  entry("RUN /bin/sh -c npm run build # buildkit", 13),
];
const FINAL = [
  ...BASE,
  entry("WORKDIR /app", 1, true),
  entry("COPY /app/node_modules ./node_modules # buildkit", 3),
  entry("COPY /app/COMMIT ./COMMIT # buildkit", 14),
  entry("COPY /app/dist ./dist # buildkit", 15),
  entry("USER node", 15, true),
];

describe("an image's history", () => {
  it("is matched from the newest instruction back to the base, with each layer's position", () => {
    const made = matchHistory(stages, stages[1]!, BUILDER)!;
    expect(made.map(({ step, layer }) => [step.text, layer])).toEqual([
      ["WORKDIR /app", 1],
      ["COPY package.json ./", 2],
      ["RUN npm ci", 3],
      [expect.stringMatching(/^RUN printf/), 4],
      ["COPY . .", 5],
      ["RUN npm run build", 6],
    ]);
    expect(nameStep(made[4]!.step, made[4]!.stage, "Dockerfile")).toBe(
      "COPY . . (Dockerfile:8, stage builder)",
    );
  });

  it("may have an instruction without a layer", () => {
    const made = matchHistory(stages, stages[2]!, FINAL)!;
    expect(made.map(({ layer, under }) => [layer, under])).toEqual([
      [undefined, 1],
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it.each([
    ["of other instructions", BUILDER.map((each) => entry(each.createdBy.replace("COPY .", "RUN ."), 1))],
    ["that is too short", BUILDER.slice(-2)],
    ["that BuildKit did not write", BUILDER.map((each) => entry(`/bin/sh -c #(nop) ${each.createdBy}`, 1))],
  ])("%s does not match this Dockerfile", (_, history) =>
    expect(matchHistory(stages, stages[1]!, history)).toBeUndefined(),
  );

  it("counts layers from source, not layers of dependencies", () => {
    const texts = (at: number, history: HistoryEntry[]) =>
      madeFromSource(stages, matchHistory(stages, stages[at]!, history)!).map(({ step }) => step.text);
    expect(texts(1, BUILDER)).toEqual(["COPY . .", "RUN npm run build"]);
    // What is copied from a stage is compared with it, and may come from the cache.
    expect(texts(2, FINAL)).toEqual([]);
    expect(texts(0, BUILDER.slice(0, 5))).toEqual([]);
  });

  it("orders two images by creation", () => {
    const [builder, final] = [
      matchHistory(stages, stages[1]!, BUILDER)!,
      matchHistory(stages, stages[2]!, FINAL)!,
    ];
    expect([isNewer(builder, final), isNewer(final, builder), isNewer(final, final)]).toEqual([
      false,
      true,
      false,
    ]);
  });
});

describe("the verdict on an image", () => {
  const commit = "c".repeat(40);
  const where = "COPY . . (Dockerfile:8, stage builder)";
  const facts = (more: Partial<ImageFacts> = {}): ImageFacts => ({
    id: `sha256:${"a".repeat(64)}`,
    layers: [
      { where, created: "2026-11-23T02:00:12.5Z" },
      { where: "RUN npm run build (Dockerfile:9, stage builder)", created: "2026-11-23T02:00:13Z" },
    ],
    prunedAt: "2026-11-23T02:00:05.123456789Z",
    commitFile: "/app/COMMIT",
    content: `${commit}\n`,
    ...more,
  });

  it("proves one that is new and carries the commit", () => {
    expect(imageVerdict("web", commit, facts())).toMatchObject({
      link: "image",
      status: "proven",
      found: `2 layers made after the prune of 2026-11-23T02:00:05.123456789Z, /app/COMMIT with ${commit}`,
      evidence: "image sha256:aaaaaaaaaaaa",
    });
  });

  it.each([
    [
      "a layer older than the prune",
      { prunedAt: "2026-11-23T02:00:12.9Z" },
      "1 older, the first of 2026-11-23T02:00:12.5Z",
    ],
    [
      "a layer's time that cannot be read",
      { layers: [{ where: "COPY . . (Dockerfile:6)", created: "" }] },
      "1 older, the first of ",
    ],
    ["no layer made from sources", { layers: [] }, "none"],
    ["no commit file", { content: undefined }, "no such file"],
    ["another commit", { content: "d".repeat(40) }, `"${"d".repeat(40)}"`],
    ["the beginning of the commit", { content: commit.slice(0, 12) }, '"cccccccccccc"'],
    ["an empty commit file", { content: "" }, "an empty file"],
  ])("breaks on %s", (_, more, found) => {
    const verdict = imageVerdict("web", commit, facts(more));
    expect(verdict).toMatchObject({ link: "image", status: "broken", found });
    expect(verdict).toMatchObject({ remedy: expect.stringMatching(/^(Deploy again|COPY|Write) .+\.$/) });
  });

  it("passes once the sources are copied from the build context, as the remedy says", () => {
    expect(imageVerdict("web", commit, facts({ layers: [] }))).toMatchObject({
      remedy: "COPY the sources from the build context, or from the stage that was built from them.",
    });
    const layers = [{ where, created: "2026-11-23T02:00:12.5Z" }];
    expect(imageVerdict("web", commit, facts({ layers })).status).toBe("proven");
  });

  it.each([
    ["", "none"],
    ["yesterday", '"yesterday"'],
  ])("breaks on a prune without an end time: %j", (prunedAt, found) =>
    expect(imageVerdict("web", commit, facts({ prunedAt }))).toMatchObject({
      ...{ link: "cache", status: "broken", found },
      remedy: expect.stringContaining("docs/engines.md"),
    }),
  );
});

describe("the place of an image's layers on the engine", () => {
  const layers = (count: number) => ({
    RootFS: { Layers: Array.from({ length: count }, (_, at) => `sha256:${at}`) },
  });
  const data = { UpperDir: "/d/3/diff", LowerDir: "/d/2/diff:/d/1/diff" };

  it.each([
    [
      "from the base up",
      { Id: "", ...layers(3), GraphDriver: { Name: "overlay2", Data: data } },
      ["/d/1/diff", "/d/2/diff", "/d/3/diff"],
    ],
    [
      "of one layer",
      { Id: "", ...layers(1), GraphDriver: { Name: "overlay2", Data: { UpperDir: "/d/1" } } },
      ["/d/1"],
    ],
    ["in another driver", { Id: "", ...layers(3), GraphDriver: { Name: "btrfs", Data: null } }, undefined],
    ["in containerd", { Id: "", ...layers(3) }, undefined],
    [
      "with another number of folders",
      { Id: "", ...layers(4), GraphDriver: { Name: "overlay2", Data: data } },
      undefined,
    ],
  ])("%s", (_, image, expected) => expect(layerFolders(image)).toEqual(expected));
});
