import { type Break, broken, type Verdict } from "./chain";
import { short } from "./container";
import { bringsSource, chainOf, type Stage, type Step } from "./stages";

/** What to do about an image that is not the commit's. */
export const REBUILD = 'Deploy again with "--rebuild": it prunes and builds again.';

/** One entry of an image's history, the oldest first. */
export interface HistoryEntry {
  /** What made it, as the engine wrote it down. */
  readonly createdBy: string;
  /** ISO 8601, by the engine's clock. */
  readonly created: string;
  /** Whether it has no layer. */
  readonly empty: boolean;
}

/** An instruction and what the engine made of it. */
export interface MadeStep {
  readonly step: Step;
  readonly stage: Stage;
  readonly created: string;
  /** The layer's place in the image, from the base up; undefined where it changed nothing. */
  readonly layer?: number;
  /** How many layers lie under it. */
  readonly under: number;
}

/** A layer that is made from the commit's sources. */
export interface SourceLayer {
  /** The instruction as an error names it: `COPY . . (Dockerfile:7, stage builder)`. */
  readonly where: string;
  readonly created: string;
}

/** What the engine says of a service's image. */
export interface ImageFacts {
  readonly id: string;
  readonly layers: readonly SourceLayer[];
  /** When this deploy's prune ended, ISO 8601, by the engine's clock. */
  readonly prunedAt: string;
  readonly commitFile: string;
  /** What lies there in the image; undefined where there is no such file. */
  readonly content: string | undefined;
}

/**
 * Finds the history entry of each instruction that an image was made from, from the newest back.
 *
 * @returns undefined where the image was not made from these instructions by BuildKit
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
  const matches = steps.every(({ step }, at) => own[at]!.createdBy.startsWith(`${step.keyword} `));
  if (!matches) return undefined;
  return steps.map(({ step, stage: of }, at) => {
    const { created, empty, under } = own[at]!;
    return { step, stage: of, created, under, ...(empty ? {} : { layer: under }) };
  });
}

/**
 * The first copy of sources from the context, and all later layers: earlier layers survive a prune on purpose. A copy
 * from another stage has its content as cache key, which need not change with the commit; its files are compared with
 * that stage.
 */
export function madeFromSource(stages: readonly Stage[], made: readonly MadeStep[]): MadeStep[] {
  const first = made.findIndex(
    ({ step }) => step.copy?.from === "context" && bringsSource(stages, step.copy),
  );
  return first < 0 ? [] : made.slice(first);
}

/** Whether an image was created after another one, which then cannot be built from it. */
export function isNewer(made: readonly MadeStep[], than: readonly MadeStep[]): boolean {
  const last = (steps: readonly MadeStep[]) =>
    Math.max(0, ...steps.map(({ created }) => Date.parse(created)));
  return last(made) > last(than);
}

/** `COPY . . (Dockerfile:7, stage builder)` */
export function nameStep({ text, line }: Step, stage: Stage, dockerfile: string): string {
  return `${text} (${dockerfile}:${line}${stage.name ? `, stage ${stage.name}` : ""})`;
}

/** Judges an image by its layers' ages and by the commit file that it carries. */
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
      remedy: "Compare the docker CLI and the engine with those in docs/engines.md.",
    });
  // A layer's unreadable time is no proof either.
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
