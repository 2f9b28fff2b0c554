import type { DockerEngine } from "../engine/docker";
import type { GitHash } from "../engine/tarFiles";
import {
  bytesVerdict,
  type ComparedCopy,
  isOfAnotherStage,
  placeFiles,
  type Refusal,
  throughLinks,
} from "../freshness/bytes";
import {
  changedSources,
  changesVerdict,
  isWrittenByTools,
  type JudgedChange,
  type LayerStep,
} from "../freshness/bytes/changed";
import {
  type FileVersion,
  filledFolder,
  type Leftovers,
  leftoversVerdict,
  originsOf,
} from "../freshness/bytes/leftovers";
import { broken, type Verdict } from "../freshness/chain";
import type { Starts } from "../freshness/container/initProgram";
import { beforeWildcard } from "../freshness/dockerfile/glob";
import { visibleFiles } from "../freshness/dockerfile/manifests";
import type { Inherited } from "../freshness/dockerfile/replay";
import {
  type BuildPlace,
  bringsSource,
  type CopyStep,
  carriesSource,
  chainOf,
  readStages,
  type Stage,
  stageAt,
  stagesToKeep,
  targetStage,
} from "../freshness/dockerfile/stages";
import { contextFiles } from "../freshness/dockerignore";
import type { Files } from "../freshness/files";
import {
  imageVerdict,
  isNewer,
  type MadeStep,
  madeFromSource,
  matchHistory,
  nameStep,
  REBUILD,
  type SourceLayer,
} from "../freshness/image";
import { must, zip } from "../freshness/sure";
import type { BuildInputs } from "../source/buildInputs";
import { ImageReader, type OpenImage } from "./imageFiles";

/** The settings of a service that determine its image. */
export interface BuiltService {
  readonly name: string;
  readonly context: string;
  readonly dockerfile: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
  /** What is built for. Default: linux/amd64. */
  readonly platform?: string;
  /** Empty for a service without one. */
  readonly commitFile: string;
}

export interface BuiltImage {
  readonly service: BuiltService;
  /** Value of GIT_COMMIT_HASH. */
  readonly commit: string;
  readonly inputs: BuildInputs;
  /** Image ID or digest. */
  readonly image: string;
  /** Images of `keptStages`, built and tagged before `image`: stage → image ID. */
  readonly stages: Readonly<Record<string, string>>;
  /** End of this deploy's prune, by the engine's clock. */
  readonly prunedAt: string;
}

/** The inputs of a service that its instructions depend on. */
type Instructions = Pick<BuildInputs, "dockerfile" | "dockerignore" | "tree">;

function placeOf({ platform }: BuiltService, { tree, dockerignore }: Instructions): BuildPlace {
  return {
    platform,
    files: visibleFiles(
      tree.map(({ path }) => path),
      dockerignore,
    ),
  };
}

/**
 * Stages to build and tag as their own images before the final image, so that their layers can be read. A tagged image
 * keeps its layers through every prune, and the final image is built from them.
 *
 * @throws Error for a stage without a name, because a build cannot select it
 */
export function keptStages(service: BuiltService, inputs: Instructions): string[] {
  const stages = readStages(inputs.dockerfile, service.args, undefined, placeOf(service, inputs));
  return stagesToKeep(stages, targetStage(stages, service.target)).map(({ name, line }) => {
    if (name !== undefined) return name;
    throw new Error(`${service.dockerfile}:${line}: the stage has no name; write "FROM … AS builder"`);
  });
}

/** Whether an image begins with a stage's layers, which shows that the cache provided them. */
export function showsStage(service: BuiltService, inputs: Instructions, stage: string): boolean {
  const stages = readStages(inputs.dockerfile, service.args, undefined, placeOf(service, inputs));
  const target = targetStage(stages, service.target);
  return [target, ...stagesToKeep(stages, target)].some((built) =>
    chainOf(stages, built).some(({ name }) => name === stage.toLowerCase()),
  );
}

/** Reads the files of a commit's images. */
export function readerOf(engine: DockerEngine, { tree }: BuildInputs): ImageReader {
  const algorithm: GitHash = tree[0]?.hash.length === 64 ? "sha256" : "sha1";
  return new ImageReader(engine, algorithm);
}

/** A Dockerfile as it is built for a commit. */
function stagesOf({ service, commit, inputs }: Pick<BuiltImage, "service" | "commit" | "inputs">) {
  const args = { ...service.args, GIT_COMMIT_HASH: commit };
  const place = placeOf(service, inputs);
  const stages = readStages(inputs.dockerfile, args, undefined, place);
  const target = targetStage(stages, service.target);
  return { args, place, stages, target, kept: stagesToKeep(stages, target) };
}

/** Reads ahead the stages' images, while the final image is being built. */
export async function readAhead(
  reader: ImageReader,
  built: Omit<BuiltImage, "image" | "prunedAt">,
): Promise<void> {
  const { args, place, stages, target, kept } = stagesOf(built);
  const copied = ({ index }: Stage) =>
    chainOf(stages, target).flatMap(({ steps }) =>
      steps.flatMap(({ copy }) => (copy?.from === index ? copy.sources : [])),
    );
  const read = async (stage: Stage, id: string) => {
    const image = await reader.image(id);
    const own = readStages(built.inputs.dockerfile, args, inheritedBy(stages, stage, image), place);
    const made = matchHistory(own, stageAt(own, stage.index), image.history) ?? [];
    const first = made.findIndex(({ step: { copy } }) => copy && bringsSource(own, copy));
    await Promise.all([
      ...made.flatMap(({ step: { copy }, layer }, at) =>
        layer !== undefined && ((copy && copy.from !== "elsewhere") || (first >= 0 && at > first))
          ? [image.layer(layer)]
          : [],
      ),
      image.paths(copied(stage).map(beforeWildcard)),
    ]);
  };
  const images = kept.map((stage) => [stage, built.stages[stage.name ?? ""]] as const);
  await Promise.all(images.map(([stage, id]) => id && read(stage, id)));
}

/** Facts that depend only on the image; kept by image ID. */
export interface ProvenImage {
  readonly verdicts: Verdict[];
  /** Whether it has `/bin/sh`. */
  readonly hasShell: boolean;
  /** What it starts; absent if it is refused. */
  readonly starts?: Starts;
  /** Whether it was not built from the stages' images: another build may help. */
  readonly isOfOtherStages?: boolean;
}

/**
 * Proves the links `image` and `bytes` of a service.
 *
 * @param reader may have read ahead; it is closed, which the containers of the image do not wait for
 */
export async function proveImage(
  engine: DockerEngine,
  built: BuiltImage,
  reader: ImageReader = readerOf(engine, built.inputs),
): Promise<ProvenImage> {
  try {
    return await judgeImage(reader, built);
  } finally {
    engine.tidy(reader.close());
  }
}

async function judgeImage(reader: ImageReader, built: BuiltImage): Promise<ProvenImage> {
  const { service, commit, inputs } = built;
  const { args, place, stages, target, kept } = stagesOf(built);
  const context = contextFiles(inputs.tree, inputs.links, inputs.dockerignore, service.dockerfile);

  const images = new Map([[target.index, built.image]]);
  const refusals: Refusal[] = [];
  for (const stage of kept) {
    const image = built.stages[stage.name ?? ""];
    if (image !== undefined) images.set(stage.index, image);
    else
      refusals.push({
        where: `${service.dockerfile}:${stage.line}`,
        why: `stage ${stage.name ?? "without a name"} was not built as an image of its own`,
        remedy: 'Name the stage ("FROM … AS builder") and deploy again.',
      });
  }
  if (refusals.length > 0) return { verdicts: [bytesVerdict(service.name, [], refusals)], hasShell: false };

  const all = [...images];
  const sure = { layers: comparedOnTop(stages, target), text: service.commitFile };
  const opened = await reader.open(
    all.map(([, id]) => id),
    (id) => (id === built.image ? sure : undefined),
  );
  const open = new Map(zip(all, opened).map(([[stage], image]) => [stage, image]));
  const imageOf = ({ index, name }: Stage) => must(open.get(index), `image of stage ${name ?? index}`);
  const read = (stage: Stage) => {
    const image = imageOf(stage);
    const own = readStages(inputs.dockerfile, args, inheritedBy(stages, stage, image), place);
    return { stage, image, own, made: matchHistory(own, stageAt(own, stage.index), image.history) };
  };
  const final = read(target);
  const parts = [final, ...kept.map(read)];
  const strange = parts.find(({ made }) => !made);
  if (strange) return { verdicts: [notMadeFrom(service, strange.stage)], hasShell: false };

  const copies: Promise<ComparedCopy>[] = [];
  const based: Promise<{ left: Leftovers; whole: boolean } | undefined>[] = [];
  const changing: Promise<{ changes: JudgedChange[]; whole: boolean }>[] = [];
  const layers = new Map<string, SourceLayer>();
  let isAfter = false;
  for (const { stage, image, own, made = [] } of parts) {
    if (isNewer(made, final.made ?? [])) {
      isAfter = true;
      refusals.push({
        where: `stage ${stage.name}`,
        why: "the stage was built after the image, so that the image was not made from it",
        remedy: REBUILD,
      });
    }
    const name = (of: MadeStep) => nameStep(of.step, of.stage, service.dockerfile);
    for (const each of madeFromSource(own, made)) {
      const { created } = each;
      layers.set(`${each.step.line} ${created}`, { where: name(each), created });
    }
    const steps: (Promise<LayerStep> | LayerStep)[] = [];
    let hasSource = false;
    // A stage without instructions has no copy whose base is read.
    const [{ under: below } = { under: 0 }] = made;
    for (const each of made) {
      const { copy } = each.step;
      if (!copy || !isCompared(own, copy)) {
        if (hasSource && each.layer !== undefined)
          steps.push(image.layer(each.layer).then((wrote) => ({ where: name(each), wrote })));
        continue;
      }
      if (copy.refusal === undefined) {
        const one = compared(name(each), own, each, copy, image, context, imageOf);
        copies.push(one);
        steps.push(one.then(({ where, expected }) => ({ where, placed: expected })));
        hasSource ||= bringsSource(own, copy);
        if (bringsSource(own, copy))
          based.push(
            one.then(({ expected }) => {
              const begun = { stages: own, stage: stageAt(own, stage.index), image, layers: below };
              return leftBelow(name(each), copy, expected, begun, inputs);
            }),
          );
      } else refusals.push({ where: name(each), why: copy.refusal, remedy: "Then deploy again." });
    }
    changing.push(
      Promise.all(steps).then((all) =>
        judgeChanges(changedSources(all), own, stageAt(own, stage.index), inputs),
      ),
    );
  }
  if (!carriesSource(stages, target))
    refusals.push({
      where: service.dockerfile,
      why: "no COPY of the image, or of a stage that it is made from, copies the sources",
      remedy: "COPY the sources from the build context and deploy again.",
    });
  const [content, hasShell, bases, changed, ...found] = await Promise.all([
    service.commitFile === "" ? undefined : final.image.text(service.commitFile),
    final.image.has("/bin/sh"),
    Promise.all(based),
    Promise.all(changing),
    ...copies,
  ]);
  const facts = {
    id: built.image,
    layers: [...layers.values()],
    prunedAt: built.prunedAt,
    commitFile: service.commitFile,
    content,
  };
  const left = bases.filter((each) => each !== undefined);
  const leftovers = leftoversVerdict(
    service.name,
    left.map((each) => each.left),
    left.every(({ whole }) => whole),
  );
  const changes = changesVerdict(
    service.name,
    distinctChanges(changed.flatMap((each) => each.changes)),
    changed.every(({ whole }) => whole),
  );
  const verdicts = [
    imageVerdict(service.name, commit, facts),
    bytesVerdict(service.name, distinct(found), refusals),
    ...(leftovers ? [leftovers] : []),
    ...(changes ? [changes] : []),
  ];
  return {
    verdicts,
    hasShell,
    starts: final.image.starts,
    isOfOtherStages: isAfter || found.some(isOfAnotherStage),
  };
}

/** The lockfile pins the dependencies. The commit's files in that stage are compared there. */
function isCompared(stages: readonly Stage[], copy: CopyStep): boolean {
  if (copy.from === "elsewhere") return false;
  return copy.from === "context" || bringsSource(stages, copy);
}

/** Number of a stage's last instructions that are compared copies: each has its own layer. */
function comparedOnTop(stages: readonly Stage[], { steps }: Stage): number {
  const below = steps.findLastIndex(({ copy }) => !copy || !isCompared(stages, copy));
  return steps.length - 1 - below;
}

/** Content of a stage's start: its base image, except what the stage itself may have changed. */
function inheritedBy(stages: readonly Stage[], stage: Stage, { env, workDir }: OpenImage): Inherited {
  const chain = chainOf(stages, stage);
  const set = new Set(chain.flatMap(({ sets }) => sets));
  const moves = chain.some(({ steps }) => steps.some(({ keyword }) => keyword === "WORKDIR"));
  return {
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !set.has(name))),
    workDir: moves ? "/" : workDir,
  };
}

async function compared(
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
function distinctChanges(changes: readonly JudgedChange[]): JudgedChange[] {
  return [...new Map(changes.map((each) => [`${each.where} ${each.path} ${each.hash}`, each])).values()];
}

/** A stage that two images share is compared in each and reported once. */
function distinct(copies: readonly ComparedCopy[]): ComparedCopy[] {
  return copies.filter((copy) => {
    const first = copies.find((other) => other.where === copy.where);
    return first === undefined || first === copy || !sameFiles(first.found, copy.found);
  });
}

function sameFiles(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([path, file]) => b.get(path)?.hash === file.hash);
}

function notMadeFrom(service: BuiltService, stage: Stage): Verdict {
  return broken({
    link: "image",
    service: service.name,
    wrong: "the image's history is not that of the commit's Dockerfile",
    expected: `the instructions of stage ${stage.name ?? stage.index} in ${service.dockerfile}`,
    found: "others",
    evidence: `docker history of ${service.name}`,
    remedy: REBUILD,
  });
}
