import { posix } from "node:path";
import { must } from "../sure";
import { type Context, isManifest } from "./manifests";
import { type Step as ParsedStep, parseDockerfile } from "./parse";
import { type Inherited, isRemote, replayStages } from "./replay";
import type { Executed } from "./state";
import { assignments } from "./words";

/** What a COPY or an ADD puts into an image. */
export interface CopyStep {
  /**
   * The build context, an earlier stage by its index, or a source outside this build: another image, a URL, inline
   * text.
   */
  readonly from: "context" | "elsewhere" | number;
  /** Relative to the root of their origin; wildcards as written. */
  readonly sources: readonly string[];
  /** Relative to the root of the image. */
  readonly target: string;
  /** Whether the target is a folder, whatever the sources are. */
  readonly intoFolder: boolean;
  /** Whether it copies only dependency manifests. */
  readonly manifests: boolean;
  /** Whether files keep their mode. */
  readonly keepsModes: boolean;
  /** Why its result cannot be predicted; undefined if it can. */
  readonly refusal?: string;
}

/** An instruction that makes a layer. */
export interface Step {
  readonly keyword: "RUN" | "COPY" | "ADD" | "WORKDIR";
  readonly line: number;
  readonly text: string;
  readonly copy?: CopyStep;
}

export interface Stage {
  readonly index: number;
  readonly name?: string;
  readonly line: number;
  /** The stage that this one is based on; undefined for an image. */
  readonly base?: number;
  readonly steps: readonly Step[];
  /** Earlier stages that a RUN of this stage mounts. */
  readonly mounts: readonly number[];
  /** Variables that an ENV of this stage sets. */
  readonly sets: readonly string[];
}

/** What determines the meaning of a build's instructions, besides its arguments. */
export interface BuildPlace extends Context {
  /** Target platform. Default: linux/amd64. */
  readonly platform?: string;
}

/** Reads a Dockerfile's stages with their copies resolved: variables expanded, paths absolute. */
export function readStages(
  dockerfile: string,
  args: Readonly<Record<string, string>>,
  inherited?: Inherited,
  place: BuildPlace = {},
): Stage[] {
  const parsed = parseDockerfile(dockerfile);
  const lines = dockerfile.split("\n");
  const ran = replayStages({ ...place, dockerfile: parsed, args, commitFile: "", inherited });
  return parsed.stages.map(({ index, name, line }) => {
    const { base, executed = [] } = ran[index] ?? {};
    return {
      index,
      line,
      base,
      name: name === "" ? undefined : name,
      steps: executed.flatMap((each) => layerOf(each, lines, place)),
      mounts: executed.flatMap(({ mounts }) =>
        mounts.flatMap(({ from }) => (from.kind === "stage" ? [from.stage.index] : [])),
      ),
      sets: executed.flatMap(({ step }) =>
        step.keyword === "ENV"
          ? assignments(step.text, "ENV", parsed.escapeChar).map(({ name: variable }) => variable)
          : [],
      ),
    };
  });
}

/** The step as one that makes a layer; nothing if it makes none. */
function layerOf(executed: Executed, lines: readonly string[], place: BuildPlace): Step[] {
  const { keyword, line } = executed.step;
  const text = shown(lines, executed.step);
  if (keyword === "RUN" || keyword === "WORKDIR") return [{ keyword, line, text }];
  if (keyword !== "COPY" && keyword !== "ADD") return [];
  return [{ keyword, line, text, copy: copyOf(executed, place) }];
}

/** The first line of an instruction, as errors show it. */
function shown(lines: readonly string[], { line }: ParsedStep): string {
  const first = lines[line - 1]?.replace(/\\?\s*$/, "").trim() ?? "";
  return first.replace(/\s+/g, " ").slice(0, 70);
}

/** @throws Error if the stage does not exist */
export function targetStage(stages: readonly Stage[], target: string | undefined): Stage {
  const found =
    target === undefined ? stages.at(-1) : stages.findLast((stage) => stage.name === target.toLowerCase());
  if (!found) throw new Error(`the Dockerfile has no stage ${target ?? "at all"}`);
  return found;
}

/** The stage that a base, a copy or a mount of these stages names by its index. */
export function stageAt(stages: readonly Stage[], index: number): Stage {
  return must(stages[index], `stage ${index} in the Dockerfile`);
}

/** A stage and the stages that it is based on, the first one first. One image consists of them. */
export function chainOf(stages: readonly Stage[], stage: Stage): Stage[] {
  return stage.base === undefined ? [stage] : [...chainOf(stages, stageAt(stages, stage.base)), stage];
}

/** Whether a copy brings sources of the app, and not only dependency manifests. */
export function bringsSource(stages: readonly Stage[], copy: CopyStep): boolean {
  if (copy.from === "elsewhere") return false;
  if (copy.from === "context") return !copy.manifests;
  return carriesSource(stages, stageAt(stages, copy.from));
}

export function carriesSource(stages: readonly Stage[], stage: Stage): boolean {
  return chainOf(stages, stage).some(
    ({ steps, mounts }) =>
      steps.some(({ copy }) => copy && bringsSource(stages, copy)) ||
      mounts.some((mounted) => carriesSource(stages, stageAt(stages, mounted))),
  );
}

/**
 * Stages that must be kept as their own images, because the final image does not contain their layers. These are the
 * stages that copy from the build context, and the stages whose files later stages copy.
 */
export function stagesToKeep(stages: readonly Stage[], target: Stage): Stage[] {
  const needed = new Set<number>();
  const need = (stage: Stage): void => {
    if (needed.has(stage.index)) return;
    needed.add(stage.index);
    for (const other of referencesOf(stage)) need(stageAt(stages, other));
  };
  need(target);
  const all = [...needed].sort((a, b) => a - b).map((index) => stageAt(stages, index));
  const handedOn = new Set(
    all.flatMap(({ steps }) =>
      steps.flatMap(({ copy }) => (copy && typeof copy.from === "number" ? [copy.from] : [])),
    ),
  );
  const inFinal = new Set(chainOf(stages, target).map(({ index }) => index));
  const carriers = all.filter((stage) => handedOn.has(stage.index) && carriesSource(stages, stage));
  const covered = new Set([
    ...inFinal,
    ...carriers.flatMap((stage) => chainOf(stages, stage).map(({ index }) => index)),
  ]);
  const others = all.filter(
    (stage) =>
      !covered.has(stage.index) &&
      stage.steps.some(({ copy }) => copy?.from === "context") &&
      // The last stage of a chain contains the layers of those before it.
      !all.some((later) => later !== stage && chainOf(stages, later).includes(stage)),
  );
  return [...carriers.filter((stage) => stage !== target), ...others].sort((a, b) => a.index - b.index);
}

function referencesOf({ base, steps, mounts }: Stage): number[] {
  const copied = steps.flatMap(({ copy }) => (copy && typeof copy.from === "number" ? [copy.from] : []));
  return [...(base === undefined ? [] : [base]), ...copied, ...mounts];
}

function copyOf({ step, sources, origins, destination }: Executed, place: BuildPlace): CopyStep {
  const { keyword, heredocs } = step;
  const flags = new Set(step.flags.map(({ name }) => name));
  const [origin] = origins;
  const fetched = keyword === "ADD" ? sources.filter(isRemote) : [];
  const unknown = ["parents", "exclude"].find((name) => flags.has(name));
  const isElsewhere = heredocs.length > 0 || (sources.length > 0 && fetched.length === sources.length);
  return {
    from:
      isElsewhere || !origin || origin.kind === "image"
        ? "elsewhere"
        : origin.kind === "stage"
          ? origin.stage.index
          : "context",
    sources: sources.map((source) => posix.resolve("/", source).slice(1)),
    target: (destination?.folder ?? "/").slice(1),
    intoFolder: destination?.isFolder ?? false,
    manifests: sources.every((source) => isManifest(source, place)),
    keepsModes: !flags.has("chmod"),
    ...(unknown
      ? { refusal: `${keyword} --${unknown} cannot be compared; write it without` }
      : keyword === "ADD" && sources.some((source) => /\.(tar|t?gz|tgz|bz2|xz|zst)$/i.test(source))
        ? { refusal: "ADD unpacks an archive, which cannot be compared; commit its files and COPY them" }
        : fetched.length > 0 && fetched.length < sources.length
          ? { refusal: "ADD mixes files with a URL, which cannot be compared; write two instructions" }
          : {}),
  };
}
