import type { DockerEngine } from "../engine/docker";
import type { GitHash } from "../engine/tarFiles";
import { bytesVerdict, isOfAnotherStage, type Refusal } from "../freshness/bytes";
import { changesVerdict } from "../freshness/bytes/changed";
import { leftoversVerdict } from "../freshness/bytes/leftovers";
import { broken, type Verdict } from "../freshness/chain";
import type { Starts } from "../freshness/container/initProgram";
import { beforeWildcard } from "../freshness/dockerfile/glob";
import { visibleFiles } from "../freshness/dockerfile/manifests";
import type { Inherited } from "../freshness/dockerfile/replay";
import {
  type BuildPlace,
  bringsSource,
  carriesSource,
  chainOf,
  readStages,
  type Stage,
  stageAt,
  stagesToKeep,
  targetStage,
} from "../freshness/dockerfile/stages";
import { contextFiles } from "../freshness/dockerignore";
import { imageVerdict, isNewer, matchHistory, REBUILD } from "../freshness/image";
import { must, zip } from "../freshness/sure";
import type { BuildInputs } from "../source/buildInputs";
import { type Comparisons, comparedOnTop, compareStage, distinct, distinctChanges } from "./compareStage";
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
  const unbuilt = kept.filter(({ name = "" }) => built.stages[name] === undefined);
  if (unbuilt.length > 0)
    return refused(
      bytesVerdict(
        service.name,
        [],
        unbuilt.map((stage) => notBuilt(service, stage)),
      ),
    );
  const imageOf = await openStages(reader, built, stages, target);
  const read = (stage: Stage) => {
    const image = imageOf(stage);
    const own = readStages(inputs.dockerfile, args, inheritedBy(stages, stage, image), place);
    return { stage, image, own, made: matchHistory(own, stageAt(own, stage.index), image.history) };
  };
  const final = read(target);
  const parts = [final, ...kept.map(read)];
  const strange = parts.find(({ made }) => !made);
  if (strange) return refused(notMadeFrom(service, strange.stage));

  const context = contextFiles(inputs.tree, inputs.links, inputs.dockerignore, service.dockerfile);
  const around = { dockerfile: service.dockerfile, context, imageOf, inputs };
  const compared = parts.map(({ made = [], ...part }) => ({
    stage: part.stage,
    isAfter: isNewer(made, final.made ?? []),
    ...compareStage({ ...part, made }, around),
  }));
  const refusals = compared.flatMap(({ stage, isAfter, refusals: own }) =>
    isAfter ? [builtAfter(stage), ...own] : own,
  );
  if (!carriesSource(stages, target)) refusals.push(withoutSource(service));
  const [content, hasShell, based, changed, copies] = await Promise.all([
    service.commitFile === "" ? undefined : final.image.text(service.commitFile),
    final.image.has("/bin/sh"),
    Promise.all(compared.flatMap((each) => each.based)),
    Promise.all(compared.map(({ changing }) => changing)),
    Promise.all(compared.flatMap((each) => each.copies)),
  ]);
  const facts = {
    id: built.image,
    layers: [...new Map(compared.flatMap(({ layers }) => layers)).values()],
    prunedAt: built.prunedAt,
    commitFile: service.commitFile,
    content,
  };
  return {
    verdicts: [
      imageVerdict(service.name, commit, facts),
      bytesVerdict(service.name, distinct(copies), refusals),
      ...earlierFiles(service.name, based, changed),
    ],
    hasShell,
    starts: final.image.starts,
    isOfOtherStages: compared.some(({ isAfter }) => isAfter) || copies.some(isOfAnotherStage),
  };
}

/** Verdicts on files of earlier commits: those of the base image, and those that an instruction wrote. */
function earlierFiles(
  service: string,
  based: readonly Awaited<Comparisons["based"][number]>[],
  changed: readonly Awaited<Comparisons["changing"]>[],
): Verdict[] {
  const left = based.filter((each) => each !== undefined);
  const leftovers = leftoversVerdict(
    service,
    left.map((each) => each.left),
    left.every(({ whole }) => whole),
  );
  const changes = changesVerdict(
    service,
    distinctChanges(changed.flatMap((each) => each.changes)),
    changed.every(({ whole }) => whole),
  );
  return [...(leftovers ? [leftovers] : []), ...(changes ? [changes] : [])];
}

/** Opens the images of the target and of the stages that are kept. */
async function openStages(
  reader: ImageReader,
  built: BuiltImage,
  stages: readonly Stage[],
  target: Stage,
): Promise<(stage: Stage) => OpenImage> {
  const kept = stagesToKeep(stages, target).flatMap(({ index, name = "" }) => {
    const image = built.stages[name];
    return image === undefined ? [] : [[index, image] as const];
  });
  const images = [...new Map([[target.index, built.image] as const, ...kept])];
  const sure = { layers: comparedOnTop(stages, target), text: built.service.commitFile };
  const opened = await reader.open(
    images.map(([, id]) => id),
    (id) => (id === built.image ? sure : undefined),
  );
  const open = new Map(zip(images, opened).map(([[stage], image]) => [stage, image]));
  return ({ index, name }) => must(open.get(index), `image of stage ${name ?? index}`);
}

function refused(verdict: Verdict): ProvenImage {
  return { verdicts: [verdict], hasShell: false };
}

function notBuilt({ dockerfile }: BuiltService, { line, name }: Stage): Refusal {
  return {
    where: `${dockerfile}:${line}`,
    why: `stage ${name ?? "without a name"} was not built as an image of its own`,
    remedy: 'Name the stage ("FROM … AS builder") and deploy again.',
  };
}

function builtAfter({ name }: Stage): Refusal {
  return {
    where: `stage ${name}`,
    why: "the stage was built after the image, so that the image was not made from it",
    remedy: REBUILD,
  };
}

function withoutSource({ dockerfile }: BuiltService): Refusal {
  return {
    where: dockerfile,
    why: "no COPY of the image, or of a stage that it is made from, copies the sources",
    remedy: "COPY the sources from the build context and deploy again.",
  };
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
