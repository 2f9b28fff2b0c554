import { posix } from "node:path";
import { type Context, isManifest } from "./dockerfile/manifests";
import { isHeredoc, type Step as ParsedStep, parseDockerfile } from "./dockerfile/parse";
import { platformArgs } from "./dockerfile/platform";
import { isRemote } from "./dockerfile/replay";
import { assignments, expand } from "./dockerfile/words";

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

/** What a stage inherits from its base image. */
export interface Inherited {
  readonly env: Readonly<Record<string, string>>;
  readonly workDir: string;
}

/** What determines the meaning of a build's instructions, besides its arguments. */
export interface BuildPlace extends Context {
  /** Target platform. Default: linux/amd64. */
  readonly platform?: string;
}

/** State while reading a stage: its variables, those set by ENV, its working directory, its ONBUILD steps. */
interface Scope {
  readonly variables: Map<string, string>;
  readonly env: Set<string>;
  workDir: string;
  readonly onbuild: ParsedStep[];
}

/** Reads a Dockerfile's stages with their copies resolved: variables expanded, paths absolute. */
export function readStages(
  dockerfile: string,
  args: Readonly<Record<string, string>>,
  inherited: Inherited = { env: {}, workDir: "/" },
  place: BuildPlace = {},
): Stage[] {
  const parsed = parseDockerfile(dockerfile);
  const { escapeChar } = parsed;
  const lines = dockerfile.split("\n");
  const globals = new Map(Object.entries({ ...platformArgs(place.platform) }));
  for (const name of globals.keys()) if (args[name] !== undefined) globals.set(name, args[name]);
  for (const step of parsed.globals)
    declare(step, args, globals, { variables: globals, env: new Set() }, escapeChar);

  const stages: Stage[] = [];
  const scopes: Scope[] = [];
  for (const { index, name, base: written, line, steps } of parsed.stages) {
    const find = (wanted: string) => {
      const at = stages.findLastIndex((stage) => stage.name === wanted.toLowerCase());
      return at >= 0 ? at : undefined;
    };
    const base = find(expand(written, globals, escapeChar));
    const scope = base === undefined ? scopeOf(inherited) : childOf(scopes[base]!);
    const stage = {
      index,
      line,
      base,
      name: name === "" ? undefined : name,
      steps: [] as Step[],
      mounts: [] as number[],
      sets: [] as string[],
    };
    const triggers = base === undefined ? [] : scopes[base]!.onbuild;
    for (const step of [...triggers, ...steps]) {
      const { keyword, text } = step;
      const word = (of: string) => expand(of, scope.variables, escapeChar);
      if (keyword === "ONBUILD" && step.trigger) scope.onbuild.push(step.trigger);
      if (keyword === "ARG") declare(step, args, globals, scope, escapeChar);
      if (keyword === "ENV")
        for (const { name, value = "" } of assignments(text, "ENV", escapeChar)) {
          scope.variables.set(name, word(value));
          scope.env.add(name);
          stage.sets.push(name);
        }
      if (keyword !== "RUN" && keyword !== "COPY" && keyword !== "ADD" && keyword !== "WORKDIR") continue;
      if (keyword === "WORKDIR") scope.workDir = posix.resolve(scope.workDir, word(text));
      if (keyword === "RUN") stage.mounts.push(...mountedBy(step, find));
      const isCopy = keyword === "COPY" || keyword === "ADD";
      const copy = isCopy ? readCopy(step, scope.workDir, word, find, place) : undefined;
      stage.steps.push({ keyword, line: step.line, text: shown(lines, step), ...(copy ? { copy } : {}) });
    }
    stages.push(stage);
    scopes.push(scope);
  }
  return stages;
}

function scopeOf({ env, workDir }: Inherited): Scope {
  return { variables: new Map(Object.entries(env)), env: new Set(Object.keys(env)), workDir, onbuild: [] };
}

/** An ARG ends with its stage. A stage inherits what ENV set. */
function childOf({ variables, env, workDir }: Scope): Scope {
  const kept = [...variables].filter(([name]) => env.has(name));
  return { variables: new Map(kept), env: new Set(env), workDir, onbuild: [] };
}

/** The first line of an instruction, as errors show it. */
function shown(lines: readonly string[], { line }: ParsedStep): string {
  const first = lines[line - 1]!.replace(/\\?\s*$/, "").trim();
  return first.replace(/\s+/g, " ").slice(0, 70);
}

/** Earlier stages that a RUN mounts. */
function mountedBy({ flags }: ParsedStep, find: (name: string) => number | undefined): number[] {
  return flags
    .filter(({ name }) => name === "mount")
    .flatMap(({ value }) => {
      const from = /(?:^|,)from=([^,]+)/.exec(value)?.[1];
      const stage = from === undefined ? undefined : find(from);
      return stage === undefined ? [] : [stage];
    });
}

/** @throws Error if the stage does not exist */
export function targetStage(stages: readonly Stage[], target: string | undefined): Stage {
  const found =
    target === undefined ? stages.at(-1) : stages.find((stage) => stage.name === target.toLowerCase());
  if (!found) throw new Error(`the Dockerfile has no stage ${target ?? "at all"}`);
  return found;
}

/** A stage and the stages that it is based on, the first one first. One image consists of them. */
export function chainOf(stages: readonly Stage[], stage: Stage): Stage[] {
  return stage.base === undefined ? [stage] : [...chainOf(stages, stages[stage.base]!), stage];
}

/** Whether a copy brings sources of the app, and not only dependency manifests. */
export function bringsSource(stages: readonly Stage[], copy: CopyStep): boolean {
  if (copy.from === "elsewhere") return false;
  if (copy.from === "context") return !copy.manifests;
  return carriesSource(stages, stages[copy.from]!);
}

export function carriesSource(stages: readonly Stage[], stage: Stage): boolean {
  return chainOf(stages, stage).some(
    ({ steps, mounts }) =>
      steps.some(({ copy }) => copy && bringsSource(stages, copy)) ||
      mounts.some((mounted) => carriesSource(stages, stages[mounted]!)),
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
    for (const other of referencesOf(stage)) need(stages[other]!);
  };
  need(target);
  const all = [...needed].sort((a, b) => a - b).map((index) => stages[index]!);
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

/**
 * Sets a build argument to the given value, or else to its default. All stages can declare an ARG from before the first
 * FROM.
 */
function declare(
  { text }: ParsedStep,
  args: Readonly<Record<string, string>>,
  globals: ReadonlyMap<string, string>,
  scope: Pick<Scope, "variables" | "env">,
  escapeChar: string,
): void {
  for (const { name, value: fallback } of assignments(text, "ARG", escapeChar)) {
    const written =
      fallback === undefined ? globals.get(name) : expand(fallback, scope.variables, escapeChar);
    const value = args[name] ?? written;
    if (value !== undefined && !scope.env.has(name)) scope.variables.set(name, value);
  }
}

function readCopy(
  step: ParsedStep,
  workDir: string,
  expanded: (word: string) => string,
  find: (name: string) => number | undefined,
  place: BuildPlace,
): CopyStep {
  const { keyword } = step;
  const flags = new Map(step.flags.map(({ name, value }) => [name, value]));
  const words = step.json ?? step.text.split(/\s+/).filter((word) => !isHeredoc(word));
  const to = expanded(words.at(-1) ?? ".");
  const sources = words.slice(0, -1).map(expanded);
  const fetched = keyword === "ADD" ? sources.filter(isRemote) : [];
  const origin = flags.get("from");
  const unknown = ["parents", "exclude"].find((name) => flags.has(name));
  const isElsewhere = step.heredocs.length > 0 || (sources.length > 0 && fetched.length === sources.length);
  return {
    from: isElsewhere
      ? "elsewhere"
      : origin === undefined
        ? "context"
        : (find(expanded(origin)) ?? (/^\d+$/.test(origin) ? Number(origin) : "elsewhere")),
    sources: sources.map((source) => posix.resolve("/", source).slice(1)),
    target: posix.resolve(workDir, to).slice(1),
    intoFolder: sources.length > 1 || /(^|\/)\.?$/.test(to),
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
