import { type Break, broken, type Verdict } from "./chain";
import { short } from "./container";
import { bringsSource, chainOf, type Stage, type Step } from "./dockerfile/stages";
import { zip } from "./sure";

/** Remedy for an image that is not the commit's. */
export const REBUILD = 'Deploy again with "--rebuild": it prunes and builds again.';

/** One entry of an image's history, oldest first. */
export interface HistoryEntry {
  /** Instruction of the entry, as the engine recorded it. */
  readonly createdBy: string;
  /** ISO 8601, by the engine's clock. */
  readonly created: string;
  /** Whether the entry has no layer. */
  readonly empty: boolean;
}

/** An instruction and its entry in the image's history. */
export interface MadeStep {
  readonly step: Step;
  readonly stage: Stage;
  readonly created: string;
  /** Index of the layer in the image, from the base up; undefined if the instruction changed nothing. */
  readonly layer?: number;
  /** Number of layers below it. */
  readonly under: number;
}

/** A layer made from the commit's sources. */
export interface SourceLayer {
  /** The instruction as errors show it: `COPY . . (Dockerfile:7, stage builder)`. */
  readonly where: string;
  readonly created: string;
}

/** What the engine reports about a service's image. */
export interface ImageFacts {
  readonly id: string;
  readonly layers: readonly SourceLayer[];
  /** End of this deploy's prune, ISO 8601, by the engine's clock. */
  readonly prunedAt: string;
  /** Empty for a service without one. */
  readonly commitFile: string;
  /** Content of the commit file in the image; undefined if the file does not exist. */
  readonly content: string | undefined;
}

/**
 * Finds the history entry of each instruction that an image was made from, starting with the newest.
 * @returns undefined if BuildKit did not make the image from these instructions
 */
export function matchHistory(
  stages: readonly Stage[],
  stage: Stage,
  history: readonly HistoryEntry[],
): MadeStep[] | undefined {
  let layers = 0;
  const entries = history.map((entry) => {
    const under = layers;
    if (!entry.empty) layers += 1;
    return { ...entry, under };
  });
  const made = entries.filter(({ createdBy }) => /^(RUN|COPY|ADD|WORKDIR) /.test(createdBy));
  const steps = chainOf(stages, stage).flatMap((each) => each.steps.map((step) => ({ step, stage: each })));
  const own = made.slice(made.length - steps.length);
  if (own.length < steps.length) return undefined;
  const pairs = zip(steps, own);
  const matches = pairs.every(([{ step }, { createdBy }]) => createdBy.startsWith(`${step.keyword} `));
  if (!matches) return undefined;
  return pairs.map(([{ step, stage: of }, { created, empty, under }]) => ({
    step,
    stage: of,
    created,
    under,
    ...(empty ? {} : { layer: under }),
  }));
}

/**
 * The first copy of sources from the context, and all later layers. Earlier layers survive a prune on purpose. The
 * cache key of a copy from another stage is its content, which need not change with the commit. Its files are compared
 * with those of that stage.
 */
export function madeFromSource(stages: readonly Stage[], made: readonly MadeStep[]): MadeStep[] {
  const first = made.findIndex(
    ({ step }) => step.copy?.from === "context" && bringsSource(stages, step.copy),
  );
  return first < 0 ? [] : made.slice(first);
}

/** Whether an image was created after another one. The other image then cannot be built from it. */
export function isNewer(made: readonly MadeStep[], than: readonly MadeStep[]): boolean {
  const last = (steps: readonly MadeStep[]) =>
    Math.max(0, ...steps.map(({ created }) => Date.parse(created)));
  return last(made) > last(than);
}

/** For example `COPY . . (Dockerfile:7, stage builder)`. */
export function nameStep({ text, line }: Step, stage: Stage, dockerfile: string): string {
  return `${text} (${dockerfile}:${line}${stage.name ? `, stage ${stage.name}` : ""})`;
}

/** Judges an image by the ages of its layers and by its commit file. */
export function imageVerdict(service: string, commit: string, facts: ImageFacts): Verdict | Break {
  const { id, layers, prunedAt, commitFile, content } = facts;
  const evidence = `image ${short(id)}`;
  const since = `made after the prune of ${prunedAt}`;
  if (layers.length === 0)
    return broken({
      link: "image",
      service,
      wrong: "no layer of the image is made from the sources",
      expected: `layers ${since}`,
      found: "none",
      evidence,
      remedy: "COPY the sources from the build context, or from the stage that was built from them.",
    });
  if (Number.isNaN(Date.parse(prunedAt)))
    return broken({
      link: "cache",
      service,
      wrong: "the prune did not report when it ended, so that no layer is proven younger",
      expected: "a time by the engine's clock (docker info, SystemTime)",
      found: prunedAt === "" ? "none" : `"${prunedAt}"`,
      evidence,
      remedy: "Deploy with a docker CLI and an engine that docs/engines.md lists.",
    });
  // A layer with an unreadable time is not proven new either.
  const old = layers.filter(({ created }) => !(Date.parse(created) >= Date.parse(prunedAt)));
  const oldest = old[0];
  if (oldest)
    return broken({
      link: "image",
      service,
      wrong: `${oldest.where} came from the build cache`,
      expected: `${layers.length} layers ${since}`,
      found: `${old.length} older, the first of ${oldest.created}`,
      evidence,
      remedy: `${REBUILD} If it stays, COPY the commit file before it: Docker rebuilds what follows a changed layer.`,
    });
  if (commitFile === "") {
    const expected = `${layers.length} layers ${since}`;
    const without = `${evidence}, without a commit file`;
    return { link: "image", service, status: "proven", expected, found: expected, evidence: without };
  }
  const expected = `${layers.length} layers ${since}, ${commitFile} with ${commit}`;
  if (content?.trim() === commit)
    return { link: "image", service, status: "proven", expected, found: expected, evidence };
  return broken({
    link: "image",
    service,
    wrong: "the image does not carry the commit",
    expected: `commit ${commit} in ${commitFile}`,
    found: content === undefined ? "no such file" : describe(content),
    evidence: `${evidence}, ${commitFile}`,
    remedy:
      content === undefined
        ? `Write $GIT_COMMIT_HASH to ${commitFile} in the stage that copies the sources, and COPY it on from there.`
        : REBUILD,
  });
}

function describe(content: string): string {
  const text = content.trim().replace(/\s+/g, " ").slice(0, 80);
  return text === "" ? "an empty file" : `"${text}"`;
}
