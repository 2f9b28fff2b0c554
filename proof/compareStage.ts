import { type ComparedCopy, placeFiles, type Refusal, throughLinks } from "../freshness/bytes";
import {
  changedSources,
  isWrittenByTools,
  type JudgedChange,
  type LayerStep,
} from "../freshness/bytes/changed";
import { type FileVersion, filledFolder, type Leftovers, originsOf } from "../freshness/bytes/leftovers";
import { beforeWildcard } from "../freshness/dockerfile/glob";
import { bringsSource, type CopyStep, type Stage, stageAt } from "../freshness/dockerfile/stages";
import { copyRemedy } from "../freshness/dockerfile/unproven";
import type { Files } from "../freshness/files";
import { type MadeStep, madeFromSource, nameStep, type SourceLayer } from "../freshness/image";
import type { BuildInputs } from "../source/buildInputs";
import type { OpenImage } from "./imageFiles";

/** A stage with its image. */
interface Part {
  readonly stage: Stage;
  readonly image: OpenImage;
  /** All stages, as this stage's image determines their variables. */
  readonly own: readonly Stage[];
  /** The stage's instructions, with the layers that they made. */
  readonly made: readonly MadeStep[];
}

/** What a stage is compared with. */
interface Around {
  /** Path of the Dockerfile, for messages. */
  readonly dockerfile: string;
  readonly context: Files;
  readonly imageOf: (stage: Stage) => OpenImage;
  readonly inputs: BuildInputs;
}

/** The comparisons of a stage; all of them run at once. */
export interface Comparisons {
  readonly copies: readonly Promise<ComparedCopy>[];
  /** Files of the base image in the folders that copies fill. */
  readonly based: readonly Promise<{ left: Leftovers; whole: boolean } | undefined>[];
  /** Source files that a later instruction changed. */
  readonly changing: Promise<{ changes: JudgedChange[]; whole: boolean }>;
  readonly refusals: readonly Refusal[];
  /** Layers made from source, each with a key: two images share the layers of a stage. */
  readonly layers: readonly (readonly [string, SourceLayer])[];
}

/** Compares the files of a stage's image with those of the commit. */
export function compareStage(
  { stage, image, own, made }: Part,
  { dockerfile, context, imageOf, inputs }: Around,
): Comparisons {
  const name = (of: MadeStep) => nameStep(of.step, of.stage, dockerfile);
  const copies: Promise<ComparedCopy>[] = [];
  const based: Promise<{ left: Leftovers; whole: boolean } | undefined>[] = [];
  const refusals: Refusal[] = [];
  const steps: (Promise<LayerStep> | LayerStep)[] = [];
  const current = stageAt(own, stage.index);
  let hasSource = false;
  // A stage without instructions has no copy whose base is read.
  const [{ under: layers } = { under: 0 }] = made;
  for (const each of made) {
    const { copy } = each.step;
    if (!copy || !isCompared(own, copy)) {
      if (hasSource && each.layer !== undefined)
        steps.push(image.layer(each.layer).then((wrote) => ({ where: name(each), wrote })));
      continue;
    }
    if (copy.refusal !== undefined) {
      refusals.push({
        where: name(each),
        why: copy.refusal,
        remedy: copyRemedy(dockerfile, each.step.line),
      });
      continue;
    }
    const one = compareCopy(name(each), own, each, copy, image, context, imageOf);
    copies.push(one);
    steps.push(one.then(({ where, expected }) => ({ where, placed: expected })));
    if (!bringsSource(own, copy)) continue;
    hasSource = true;
    const begun = { stages: own, stage: current, image, layers };
    based.push(one.then(({ expected }) => leftBelow(name(each), copy, expected, begun, inputs)));
  }
  return {
    copies,
    based,
    changing: Promise.all(steps).then((all) => judgeChanges(changedSources(all), own, current, inputs)),
    refusals,
    layers: madeFromSource(own, made).map((each) => {
      const { step, created } = each;
      return [`${step.line} ${created}`, { where: name(each), created }] as const;
    }),
  };
}

/** The lockfile pins the dependencies. The commit's files in that stage are compared there. */
function isCompared(stages: readonly Stage[], copy: CopyStep): boolean {
  if (copy.from === "elsewhere") return false;
  return copy.from === "context" || bringsSource(stages, copy);
}

/** Number of a stage's last instructions that are compared copies: each has its own layer. */
export function comparedOnTop(stages: readonly Stage[], { steps }: Stage): number {
  const below = steps.findLastIndex(({ copy }) => !copy || !isCompared(stages, copy));
  return steps.length - 1 - below;
}

/** Compares what one copy put into a layer with the files that it copied. */
async function compareCopy(
  where: string,
  stages: readonly Stage[],
  { layer, under }: MadeStep,
  copy: CopyStep,
  image: OpenImage,
  context: Files,
  imageOf: (stage: Stage) => OpenImage,
): Promise<ComparedCopy> {
  const origin = typeof copy.from === "number" ? stageAt(stages, copy.from) : undefined;
  const [files, own] = await Promise.all([
    origin ? imageOf(origin).paths(copy.sources.map(beforeWildcard)) : context,
    layer === undefined ? new Map() : image.layer(layer),
  ]);
  const expected = throughLinks(copy, placeFiles(copy, files, own), own);
  const found = new Map(own);
  for (const path of expected.keys()) {
    const below = found.has(path) ? undefined : await image.below(under, path);
    if (below) found.set(path, below);
  }
  return {
    where,
    against: origin ? { stage: origin.name ?? String(origin.index) } : "context",
    expected,
    found,
    modes: copy.keepsModes,
  };
}

/** A stage, its image, and the number of layers of its base. */
interface Begun {
  readonly stages: readonly Stage[];
  readonly stage: Stage;
  readonly image: OpenImage;
  readonly layers: number;
}

/**
 * Reads the base image's files in the folder that a copy fills. Git knows which ones belong to an earlier commit; a
 * rule by name would refuse files that base images contain for good reasons (docs/decisions/files-of-base-images.md).
 */
async function leftBelow(
  where: string,
  copy: CopyStep,
  placed: Files,
  { stages, stage, image, layers }: Begun,
  inputs: BuildInputs,
): Promise<{ left: Leftovers; whole: boolean } | undefined> {
  const folder = filledFolder(copy, placed);
  if (folder === undefined) return undefined;
  const base = [...(await image.base(layers, folder))].filter(([path]) => !placed.has(path));
  if (base.length === 0) return undefined;
  const key = ({ path, hash }: FileVersion) => `${hash} ${path}`;
  const current = new Set(inputs.tree.map(key));
  const versions = base.flatMap(([file, { hash }]) =>
    originsOf(stages, stage, file).map((path) => ({ file, path, hash })),
  );
  const { files, whole } = await inputs.earlier(versions.filter((each) => !current.has(key(each))));
  const known = new Set(files.map(key));
  const old = new Map(
    versions.filter((each) => known.has(key(each))).map(({ file, hash }) => [file, hash] as const),
  );
  // A later step may have removed or replaced it.
  const present: Files = old.size === 0 ? new Map() : await image.paths([...old.keys()]);
  const earlier = [...old].flatMap(([file, hash]) => (present.get(file)?.hash === hash ? [file] : []));
  return { left: { where, folder, earlier, others: base.length - earlier.length }, whole };
}

/** Asks git whether changed source files are earlier revisions. */
async function judgeChanges(
  changes: ReturnType<typeof changedSources>,
  stages: readonly Stage[],
  stage: Stage,
  inputs: BuildInputs,
): Promise<{ changes: JudgedChange[]; whole: boolean }> {
  const current = new Map(inputs.tree.map(({ path, hash }) => [path, hash]));
  const versions = changes.flatMap(({ path: file, hash }) =>
    originsOf(stages, stage, file)
      .filter((path) => current.has(path) && current.get(path) !== hash && !isWrittenByTools(path))
      .map((path) => ({ file, path, hash })),
  );
  const { files, whole } = await inputs.earlier(versions);
  const known = new Set(files.map(({ path, hash }) => `${hash} ${path}`));
  const earlier = new Set(
    versions.filter(({ path, hash }) => known.has(`${hash} ${path}`)).map(({ file }) => file),
  );
  return { changes: changes.map((each) => ({ ...each, isEarlier: earlier.has(each.path) })), whole };
}

/** A stage that two images share is read in each and reported once. */
export function distinctChanges(changes: readonly JudgedChange[]): JudgedChange[] {
  return [...new Map(changes.map((each) => [`${each.where} ${each.path} ${each.hash}`, each])).values()];
}

/** A stage that two images share is compared in each and reported once. */
export function distinct(copies: readonly ComparedCopy[]): ComparedCopy[] {
  return copies.filter((copy) => {
    const first = copies.find((other) => other.where === copy.where);
    return first === undefined || first === copy || !sameFiles(first.found, copy.found);
  });
}

function sameFiles(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([path, file]) => b.get(path)?.hash === file.hash);
}
