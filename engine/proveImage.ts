import {
  bytesVerdict,
  type ComparedCopy,
  type Files,
  placeFiles,
  type Refusal,
  throughLinks,
} from "../freshness/bytes";
import { broken, type Verdict } from "../freshness/chain";
import { contextFiles } from "../freshness/dockerignore";
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
import {
  bringsSource,
  type CopyStep,
  carriesSource,
  chainOf,
  type Inherited,
  readStages,
  type Stage,
  stagesToKeep,
  targetStage,
} from "../freshness/stages";
import type { BuildInputs } from "../source/buildInputs";
import type { DockerEngine } from "./docker";
import { type OpenImage, withImages } from "./imageFiles";
import type { GitHash } from "./tarFiles";

/** What of a service decides how its image is made. */
export interface BuiltService {
  readonly name: string;
  readonly context: string;
  readonly dockerfile: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
  readonly commitFile: string;
}

export interface BuiltImage {
  readonly service: BuiltService;
  /** What GIT_COMMIT_HASH was. */
  readonly commit: string;
  readonly inputs: BuildInputs;
  /** The image's id or digest. */
  readonly image: string;
  /** The images of `keptStages`, each built and tagged before `image`: stage → id. */
  readonly stages: Readonly<Record<string, string>>;
  /** When this deploy's prune ended, by the engine's clock. */
  readonly prunedAt: string;
}

/**
 * The stages that are built and tagged as images of their own before the final image, so that their layers can be read:
 * what a tagged image holds outlives every prune, and the final image is made from it.
 *
 * @throws Error for one without a name, which no build can be asked for
 */
export function keptStages(service: BuiltService, dockerfile: string): string[] {
  const stages = readStages(dockerfile, service.args);
  return stagesToKeep(stages, targetStage(stages, service.target)).map(({ name, line }) => {
    if (name !== undefined) return name;
    throw new Error(`${service.dockerfile}:${line}: the stage has no name; write "FROM … AS builder"`);
  });
}

/** Proves the links `image` and `bytes` of a service. Verdicts hold for as long as the image does: keep them by its id. */
export async function proveImage(engine: DockerEngine, built: BuiltImage): Promise<Verdict[]> {
  const { service, commit, inputs } = built;
  const args = { ...service.args, GIT_COMMIT_HASH: commit };
  const stages = readStages(inputs.dockerfile, args);
  const target = targetStage(stages, service.target);
  const algorithm: GitHash = inputs.tree[0]?.hash.length === 64 ? "sha256" : "sha1";
  const context = contextFiles(inputs.tree, inputs.links, inputs.dockerignore, service.dockerfile);

  const kept = stagesToKeep(stages, target);
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
  if (refusals.length > 0) return [bytesVerdict(service.name, [], refusals)];

  const all = [...images];
  const ids = all.map(([, id]) => id);
  return withImages(engine, ids, algorithm, async (opened) => {
    const open = new Map(all.map(([stage], at) => [stage, opened[at]!]));
    const parts = [target, ...kept].map((stage) => {
      const image = open.get(stage.index)!;
      const own = readStages(inputs.dockerfile, args, inheritedBy(stages, stage, image));
      return { stage, image, own, made: matchHistory(own, own[stage.index]!, image.history) };
    });
    const strange = parts.find(({ made }) => !made);
    if (strange) return [notMadeFrom(service, strange.stage)];

    const copies: Promise<ComparedCopy>[] = [];
    const layers = new Map<string, SourceLayer>();
    for (const { stage, image, own, made = [] } of parts) {
      if (isNewer(made, parts[0]!.made ?? []))
        refusals.push({
          where: `stage ${stage.name}`,
          why: "the stage was built after the image, which cannot be made from it",
          remedy: REBUILD,
        });
      const name = (of: MadeStep) => nameStep(of.step, of.stage, service.dockerfile);
      for (const each of madeFromSource(own, made)) {
        const { created } = each;
        layers.set(`${each.step.line} ${created}`, { where: name(each), created });
      }
      for (const each of made) {
        const { copy } = each.step;
        if (!copy || copy.from === "elsewhere") continue;
        // Dependencies are held by their lockfile; what of the commit is in that stage is compared there.
        if (typeof copy.from === "number" && !bringsSource(own, copy)) continue;
        if (copy.refusal === undefined)
          copies.push(compared(name(each), own, each, copy, image, context, open));
        else refusals.push({ where: name(each), why: copy.refusal, remedy: "Then deploy again." });
      }
    }
    if (!carriesSource(stages, target))
      refusals.push({
        where: service.dockerfile,
        why: "no COPY of the image, or of a stage that it is made from, brings the sources",
        remedy: "COPY the sources from the build context and deploy again.",
      });
    const [content, ...found] = await Promise.all([
      open.get(target.index)!.text(service.commitFile),
      ...copies,
    ]);
    const facts = {
      id: built.image,
      layers: [...layers.values()],
      prunedAt: built.prunedAt,
      commitFile: service.commitFile,
      content,
    };
    return [imageVerdict(service.name, commit, facts), bytesVerdict(service.name, distinct(found), refusals)];
  });
}

/** What a stage began with: what its image has, but for what the stage itself may have changed. */
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
  open: ReadonlyMap<number, OpenImage>,
): Promise<ComparedCopy> {
  const origin = typeof copy.from === "number" ? stages[copy.from]! : undefined;
  const [files, own] = await Promise.all([
    origin ? open.get(origin.index)!.paths(copy.sources.map(beforeWildcard)) : context,
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

/** `app/*.js` → `app`: what can be asked for without knowing the names. */
function beforeWildcard(source: string): string {
  const parts = source.split("/");
  const wild = parts.findIndex((part) => /[*?[\\]/.test(part));
  return wild < 0 ? source : parts.slice(0, wild).join("/");
}

/** A stage that two images begin with is compared in each, and named once. */
function distinct(copies: readonly ComparedCopy[]): ComparedCopy[] {
  return copies.filter((copy, at) => {
    const first = copies.findIndex((other) => other.where === copy.where);
    return first === at || !sameFiles(copies[first]!.found, copy.found);
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
