import { posix } from "node:path";
import {
  type Add,
  type Copy,
  DockerfileParser,
  type From,
  type Instruction,
  type Property,
} from "dockerfile-ast";

/** What a COPY or an ADD puts into an image. */
export interface CopyStep {
  /** The build context, an earlier stage by its index, or what is not of this build: another image, a URL, inline text. */
  readonly from: "context" | "elsewhere" | number;
  /** Relative to the root of where they come from; wildcards as written. */
  readonly sources: readonly string[];
  /** Relative to the root of the image. */
  readonly target: string;
  /** Whether the target is a folder whatever the sources are. */
  readonly intoFolder: boolean;
  /** Whether files keep their mode. */
  readonly keepsModes: boolean;
  /** Why what it puts there cannot be foretold; undefined where it can. */
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
  /** The stage that this one begins with; undefined where it is an image. */
  readonly base?: number;
  readonly steps: readonly Step[];
  /** Earlier stages that a RUN of this one mounts. */
  readonly mounts: readonly number[];
  /** Variables that an ENV of this one sets. */
  readonly sets: readonly string[];
}

/** What a stage has from the image it begins with. */
export interface Inherited {
  readonly env: Readonly<Record<string, string>>;
  readonly workDir: string;
}

type Variables = Record<string, string>;

/** Reads a Dockerfile's stages with their copies resolved: variables expanded, paths made absolute. */
export function readStages(
  dockerfile: string,
  args: Readonly<Record<string, string>>,
  inherited: Inherited = { env: {}, workDir: "/" },
): Stage[] {
  const stages: (Stage & { steps: Step[]; mounts: number[]; sets: string[] })[] = [];
  const scopes: { variables: Variables; env: Set<string>; workDir: string }[] = [];
  const globals: Variables = {};
  const lines = dockerfile.split("\n");
  const find = (name: string) => {
    const at = stages.findLastIndex((stage) => stage.name?.toLowerCase() === name.toLowerCase());
    return at >= 0 ? at : undefined;
  };
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    const keyword = instruction.getKeyword();
    const line = (instruction.getRange()?.start.line ?? 0) + 1;
    if (keyword === "FROM") {
      const from = instruction as From;
      const base = find(expand(from.getImage() ?? "", globals));
      const name = from.getBuildStage() ?? undefined;
      const start =
        base === undefined
          ? {
              variables: { ...inherited.env },
              env: new Set(Object.keys(inherited.env)),
              workDir: inherited.workDir,
            }
          : {
              // An ARG ends with its stage; what ENV set goes on.
              variables: Object.fromEntries(
                Object.entries(scopes[base]!.variables).filter(([key]) => scopes[base]!.env.has(key)),
              ),
              env: new Set(scopes[base]!.env),
              workDir: scopes[base]!.workDir,
            };
      stages.push({ index: stages.length, name, line, base, steps: [], mounts: [], sets: [] });
      scopes.push(start);
      continue;
    }
    const stage = stages.at(-1);
    const scope = scopes.at(-1);
    if (keyword === "ARG") declare(instruction, args, globals, scope);
    if (!stage || !scope) continue;
    if (keyword === "ENV")
      for (const [name, value] of properties(instruction)) {
        scope.variables[name] = expand(value ?? "", scope.variables);
        scope.env.add(name);
        stage.sets.push(name);
      }
    if (keyword !== "RUN" && keyword !== "COPY" && keyword !== "ADD" && keyword !== "WORKDIR") continue;

    const content = instruction.getArgumentsContent() ?? "";
    const text = lines[line - 1]!.replace(/\\?\s*$/, "")
      .trim()
      .replace(/\s+/g, " ")
      .slice(0, 70);
    if (keyword === "WORKDIR")
      scope.workDir = posix.resolve(scope.workDir, expand(content, scope.variables).trim());
    const isCopy = keyword === "COPY" || keyword === "ADD";
    const copy = isCopy ? readCopy(instruction as Copy | Add, keyword, scope, find) : undefined;
    for (const [, name] of keyword === "RUN" ? content.matchAll(/--mount=\S*\bfrom=([^\s,]+)/g) : []) {
      const mounted = find(name!);
      if (mounted !== undefined) stage.mounts.push(mounted);
    }
    stage.steps.push({ keyword, line, text, ...(copy ? { copy } : {}) });
  }
  return stages;
}

/** @throws Error where there is no such stage */
export function targetStage(stages: readonly Stage[], target: string | undefined): Stage {
  const found =
    target === undefined
      ? stages.at(-1)
      : stages.find((stage) => stage.name?.toLowerCase() === target.toLowerCase());
  if (!found) throw new Error(`the Dockerfile has no stage ${target ?? "at all"}`);
  return found;
}

/** A stage and those it begins with, the first one first: what one image is made of. */
export function chainOf(stages: readonly Stage[], stage: Stage): Stage[] {
  return stage.base === undefined ? [stage] : [...chainOf(stages, stages[stage.base]!), stage];
}

/** Whether a copy brings what the app is made from, and not only the manifests of its dependencies. */
export function bringsSource(stages: readonly Stage[], copy: CopyStep): boolean {
  if (copy.from === "elsewhere") return false;
  if (copy.from === "context") return !copy.sources.every(isDependencyManifest);
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
 * The stages that are needed as images of their own beside the final one, for the final one does not hold their layers:
 * those that copy from the build context, and those that carry what was made from it on to a later stage.
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
      // The last one of its chain holds the layers of those before it.
      !all.some((later) => later !== stage && chainOf(stages, later).includes(stage)),
  );
  return [...carriers.filter((stage) => stage !== target), ...others].sort((a, b) => a.index - b.index);
}

const MANIFEST =
  /^(package(-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|\.yarnrc(\.yml)?|pnpm-(lock|workspace)\.yaml|bun\.lockb?|\.npmrc|\.nvmrc|\.(node|python|ruby)-version|(requirements|constraints).*\.(txt|in)|pyproject\.toml|(poetry|uv|pdm)\.lock|Pipfile(\.lock)?|go\.(mod|sum)|Cargo\.(toml|lock)|Gemfile(\.lock)?|composer\.(json|lock))$/;

/** `package.json`, `requirements.txt`, `package*.json`, …: what says which dependencies there are. */
function isDependencyManifest(source: string): boolean {
  return MANIFEST.test(posix.basename(source).replace(/[*?]/g, ""));
}

function referencesOf({ base, steps, mounts }: Stage): number[] {
  const copied = steps.flatMap(({ copy }) => (copy && typeof copy.from === "number" ? [copy.from] : []));
  return [...(base === undefined ? [] : [base]), ...copied, ...mounts];
}

/** A build argument where it was given, else the default; before the first FROM it is one for all stages to take up. */
function declare(
  instruction: Instruction,
  args: Readonly<Record<string, string>>,
  globals: Variables,
  scope: { variables: Variables; env: ReadonlySet<string> } | undefined,
): void {
  for (const [name, fallback] of properties(instruction)) {
    const known = scope?.variables ?? globals;
    const value = args[name] ?? (fallback === null ? globals[name] : expand(fallback, known));
    if (value !== undefined && !scope?.env.has(name)) known[name] = value;
  }
}

function properties(instruction: Instruction): [string, string | null][] {
  const { getProperties } = instruction as Instruction & { getProperties(): Property[] };
  return getProperties.call(instruction).map((each) => [each.getName(), each.getValue()]);
}

function readCopy(
  instruction: Copy | Add,
  keyword: "COPY" | "ADD",
  { variables, workDir }: { variables: Variables; workDir: string },
  find: (name: string) => number | undefined,
): CopyStep {
  const flags = new Map(instruction.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? ""]));
  const words = copyWords(instruction).map((word) => expand(word, variables));
  const to = words.at(-1) ?? ".";
  const sources = words.slice(0, -1);
  const isRemote = (source: string) => /^([a-z+]+:\/\/|git@)/i.test(source) && keyword === "ADD";
  const inline = /(^|\s)<<-?["']?\w/.test(instruction.getArgumentsContent()?.split("\n")[0] ?? "");
  const origin = flags.get("from");
  const unknown = ["parents", "exclude"].find((name) => flags.has(name));
  return {
    from:
      inline || (sources.length > 0 && sources.every(isRemote))
        ? "elsewhere"
        : origin === undefined
          ? "context"
          : (find(expand(origin, variables)) ?? (/^\d+$/.test(origin) ? Number(origin) : "elsewhere")),
    sources: sources.map((source) => posix.resolve("/", source).slice(1)),
    target: posix.resolve(workDir, to).slice(1),
    intoFolder: sources.length > 1 || /(^|\/)\.?$/.test(to),
    keepsModes: !flags.has("chmod"),
    ...(unknown
      ? { refusal: `${keyword} --${unknown} cannot be compared; write it without` }
      : keyword === "ADD" && sources.some((source) => /\.(tar|t?gz|tgz|bz2|xz|zst)$/i.test(source))
        ? { refusal: "ADD unpacks an archive, which cannot be compared; commit its files and COPY them" }
        : sources.some(isRemote) && !sources.every(isRemote)
          ? { refusal: "ADD mixes files with a URL, which cannot be compared; write two instructions" }
          : {}),
  };
}

/** The sources and the target: words, or the strings of the JSON form. */
function copyWords(instruction: Copy | Add): string[] {
  const content = (instruction.getArgumentsContent() ?? "").replace(/^(--[a-z-]+(=\S*)?\s+)+/, "");
  if (content.startsWith("["))
    try {
      const parsed: unknown = JSON.parse(content);
      if (Array.isArray(parsed) && parsed.every((word) => typeof word === "string")) return parsed;
    } catch {
      // Words, as Docker takes it then.
    }
  return instruction.getArguments().map((argument) => argument.getValue());
}

/** Expands `$A`, `${A}`, `${A:-default}` and `${A:+value}`, and takes quotes and escapes away. */
export function expand(word: string, variables: Readonly<Variables>): string {
  return word.replace(
    /'([^']*)'|\\(.)|"|\$(\w+)|\$\{(\w+)(?:(:?[-+])([^}]*))?\}/g,
    (_, literal?: string, escaped?: string, plain?: string, braced?: string, mark?: string, other = "") => {
      if (literal !== undefined) return literal;
      if (escaped !== undefined) return escaped;
      const value = variables[plain ?? braced ?? ""];
      const set = value !== undefined && (value !== "" || !mark?.startsWith(":"));
      if (mark?.endsWith("-")) return set ? value : expand(other, variables);
      if (mark?.endsWith("+")) return set ? expand(other, variables) : "";
      return value ?? "";
    },
  );
}
