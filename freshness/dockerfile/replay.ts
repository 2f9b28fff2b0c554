import { posix } from "node:path";
import { must } from "../sure";
import { contentOf, digest, expandBody, land, landTexts } from "./content";
import { COMMIT_ARG } from "./finding";
import { type Context, isManifest } from "./manifests";
import { isHeredoc, type ParsedDockerfile, type Stage, type Step } from "./parse";
import { platformArgs } from "./platform";
import { commandsOf } from "./shell";
import {
  both,
  differs,
  type Executed,
  type Mount,
  type Origin,
  type Pair,
  type StageState,
  sideOf,
} from "./state";
import { assignments, expand } from "./words";
import { filesWritten } from "./writes";

const COMMITS: Pair = ["5ca1ab1e".repeat(5), "0ddba11e".repeat(5)];

export interface ReplayInput extends Context {
  readonly dockerfile: ParsedDockerfile;
  /** Default: the last stage. */
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
  /** Target platform. Default: linux/amd64. */
  readonly platform?: string;
  readonly commitFile: string;
  /** Whether to continue after a step that the commit does not reach as if the step were corrected. */
  readonly mend: boolean;
  /** What the base images set. Default: nothing. */
  readonly inherited?: Inherited;
}

/** What a stage inherits from its base image. */
export interface Inherited {
  readonly env: Readonly<Record<string, string>>;
  readonly workDir: string;
}

/** Finds the target as BuildKit does: by name, ignoring case. */
export function findTarget(dockerfile: ParsedDockerfile, target: string | undefined): Stage | undefined {
  if (target === undefined || target === "") return dockerfile.stages.at(-1);
  return dockerfile.stages.findLast((stage) => stage.name === target.toLowerCase());
}

/**
 * Computes BuildKit's cache keys of the stages that the target needs, for two commits at the same time. A step with two
 * different keys runs again for each commit. Any other step may come from the cache.
 */
export function replay(input: ReplayInput): Executed[] {
  return new Replay(input).run();
}

/** The same, with the state of the target's stage at its end; undefined if the stage does not exist. */
export function replayTarget(input: ReplayInput): { executed: Executed[]; target: StageState | undefined } {
  const replayed = new Replay(input);
  return { executed: replayed.run(), target: replayed.target };
}

/** What a stage is based on, another stage's index or undefined for an image, and what it ran. */
export interface StageRun {
  readonly base: number | undefined;
  readonly executed: readonly Executed[];
}

/** Runs all stages, needed or not, as a build for the commit among `args`. Returns one entry for each, in their order. */
export function replayStages(input: Omit<ReplayInput, "target" | "mend">): StageRun[] {
  return new Replay({ ...input, mend: false }).runAll(input.args[COMMIT_ARG]);
}

class Replay {
  private commits = COMMITS;
  private readonly executed: Executed[] = [];
  private readonly built = new Map<number, StageState>();
  private readonly building = new Set<number>();
  private readonly metaArgs = new Map<string, Pair>();

  constructor(private readonly input: ReplayInput) {}

  /** State of the target's stage after it has run. */
  target: StageState | undefined;

  run(): Executed[] {
    this.declareGlobals();
    const target = findTarget(this.input.dockerfile, this.input.target);
    if (target) this.target = this.build(target);
    return this.executed;
  }

  runAll(commit = ""): StageRun[] {
    this.commits = [commit, ""];
    this.declareGlobals();
    const states = this.input.dockerfile.stages.map((stage) => this.build(stage));
    return states.map((state) => ({
      base: state?.parent?.index,
      executed: this.executed.filter(({ stage }) => stage === state),
    }));
  }

  private declareGlobals(): void {
    for (const [name, value] of Object.entries(platformArgs(this.input.platform)))
      this.metaArgs.set(name, this.argument(name) ?? [value, value]);
    for (const step of this.input.dockerfile.globals)
      for (const { name, value } of assignments(step.text, "ARG", this.escapeChar)) {
        const known =
          this.argument(name) ?? (value === undefined ? undefined : this.expand(value, this.metaArgs));
        if (known) this.metaArgs.set(name, known);
      }
  }

  private get escapeChar(): string {
    return this.input.dockerfile.escapeChar;
  }

  private argument(name: string): Pair | undefined {
    if (name === COMMIT_ARG) return this.commits;
    const value = Object.hasOwn(this.input.args, name) ? this.input.args[name] : undefined;
    return value === undefined ? undefined : [value, value];
  }

  private expand(word: string, values: ReadonlyMap<string, Pair>): Pair {
    return both((i) => expand(word, sideOf(values, i), this.escapeChar));
  }

  /** Builds a stage once. A stage that needs itself, which BuildKit rejects, counts as an image. */
  private build(stage: Stage): StageState | undefined {
    const done = this.built.get(stage.index);
    if (done || this.building.has(stage.index)) return done;
    this.building.add(stage.index);
    const base = this.expand(stage.base, this.metaArgs);
    const earlier = this.input.dockerfile.stages.slice(0, stage.index);
    const parentStage = earlier.findLast(({ name }) => name !== "" && name === base[0].toLowerCase());
    const parent = parentStage && this.build(parentStage);
    const { env = {}, workDir = "/" } = this.input.inherited ?? {};
    const inherited = Object.entries(env).map(([name, value]): [string, Pair] => [name, [value, value]]);
    const state: StageState = {
      index: stage.index,
      name: stage.name === "" ? `stage-${stage.index}` : stage.name,
      line: stage.line,
      ...(parent && { parent }),
      image: parent?.image ?? base[0],
      // An ARG reaches the stages based on its stage. Variables that the image keeps override it.
      env: new Map(parent ? [...parent.env, ...parent.kept] : inherited),
      kept: new Map(parent?.kept ?? inherited),
      key: parent?.key ?? both((i) => digest("FROM", base[i])),
      workdir: parent?.workdir ?? workDir,
      user: parent?.user ?? ["", ""],
      shell: parent?.shell ?? ["/bin/sh", "-c"],
      onbuild: [],
      carries: parent?.carries ?? false,
      files: new Map(parent?.files),
      destinations: [...(parent?.destinations ?? [])],
    };
    for (const step of [...(parent?.onbuild ?? []), ...stage.steps]) this.execute(step, state);
    this.built.set(stage.index, state);
    return state;
  }

  private execute(step: Step, state: StageState): void {
    const carried = state.carries;
    const value = state.env.get(COMMIT_ARG);
    const details: Omit<Executed, "reruns"> = {
      step,
      stage: state,
      origins: [],
      sources: [],
      linked: false,
      carried,
      argument: value === undefined ? "absent" : differs(value) ? "in force" : "hidden",
      commands: [],
      mounts: [],
      workdir: state.workdir,
      shell: state.shell,
    };
    if (step.keyword === "RUN") this.command(step, state, details);
    else if (step.keyword === "COPY" || step.keyword === "ADD") this.copy(step, state, details);
    else {
      this.declare(step, state);
      this.executed.push({ ...details, reruns: differs(state.key) });
    }
  }

  /** Handles instructions that make no layer, and WORKDIR. */
  private declare(step: Step, state: StageState): void {
    if (step.keyword === "ENV" || step.keyword === "ARG") {
      // All assignments of one instruction see the values from before it.
      const before = new Map(state.env);
      for (const { name, value } of assignments(step.text, step.keyword, this.escapeChar)) {
        const written = value === undefined ? undefined : this.expand(value, before);
        const known =
          step.keyword === "ENV" ? written : (this.argument(name) ?? written ?? this.metaArgs.get(name));
        if (known) state.env.set(name, known);
        if (known && step.keyword === "ENV") state.kept.set(name, known);
      }
    } else if (step.keyword === "WORKDIR") {
      const path = this.expand(step.text, state.env);
      state.key = both((i) => digest(state.key[i], "WORKDIR", path[i]));
      state.workdir = posix.resolve(state.workdir, path[0]);
    } else if (step.keyword === "USER") state.user = this.expand(step.text, state.env);
    else if (step.keyword === "SHELL") state.shell = step.json ?? state.shell;
    else if (step.keyword === "ONBUILD" && step.trigger) state.onbuild = [...state.onbuild, step.trigger];
  }

  /**
   * The cache key of a RUN contains its text, its user and its whole environment, including each declared ARG, used or
   * not.
   */
  private command(step: Step, state: StageState, details: Omit<Executed, "reruns">): void {
    const mounts = step.flags
      .filter(({ name }) => name === "mount")
      .map(({ value }) => this.mount(value, state));
    const bringing = mounts.filter(({ type, from, source }) => {
      if (type !== "bind" || from.kind === "image") return false;
      return from.kind === "stage" ? from.stage.carries : !isManifest(source, this.input);
    });
    const commands = commandsOf(step);
    const inputs = both((i) => mounts.map((mount) => contentOf(mount.from, [mount.source])[i]).join());
    const own = both((i) =>
      digest(
        "RUN",
        JSON.stringify([step.text, step.heredocs, step.flags, state.shell]),
        JSON.stringify([...sideOf(state.env, i)].sort()),
        state.user[i],
        inputs[i],
      ),
    );
    state.key = both((i) => digest(state.key[i], own[i]));
    const written = both((i) =>
      filesWritten(commands, sideOf(state.env, i), state.workdir, digest("unknown", state.key[i])),
    );
    for (const [path, content] of written[0].files) {
      const other = written[1].files.get(path);
      if (other !== undefined) state.files.set(path, [content, other]);
    }
    const { commitFile } = this.input;
    if (written[0].opaque && !state.files.has(commitFile))
      state.files.set(
        commitFile,
        both((i) => digest("unknown", state.key[i])),
      );
    const brings = bringing.find(({ from }) => from.kind === "context") ? "context" : bringing[0] && "stage";
    this.record(state, {
      ...details,
      commands,
      mounts,
      opaque: written[0].opaque,
      origins: mounts.map(({ from }) => from),
      ...(brings && { brings }),
      reruns: differs(state.key),
    });
  }

  private copy(step: Step, state: StageState, details: Omit<Executed, "reruns">): void {
    const words = (step.json ?? step.text.split(/\s+/)).map((word) =>
      isHeredoc(word) ? both(() => word) : this.expand(word, state.env),
    );
    const destination = must(words.at(-1), "destination of a COPY");
    const sources = words.slice(0, -1).filter((word) => step.json || !isHeredoc(word[0]));
    const bodies = step.heredocs.map(({ body, quoted }) =>
      quoted ? both(() => body) : both((i) => expandBody(body, sideOf(state.env, i))),
    );
    const flags = step.flags.map(({ name, value }) => ({ name, value: this.expand(value, state.env) }));
    const flag = (name: string) => flags.find((candidate) => candidate.name === name)?.value[0];
    const from = flag("from");
    const origin: Origin = from === undefined ? { kind: "context" } : this.origin(from, state, "numbers");
    const linked = flag("link") !== undefined && flag("link") !== "false";
    const paths = sources.map((source) => source[0]);
    const excludes = flags.some(({ name }) => name === "exclude");
    const content = excludes ? both(() => "") : contentOf(origin, paths);
    const own = both((i) =>
      digest(
        JSON.stringify(words.map((word) => word[i])),
        JSON.stringify(flags.map(({ name, value }) => [name, value[i]])),
        JSON.stringify(bodies.map((body) => body[i])),
        content[i],
      ),
    );
    state.key = both((i) => digest(state.key[i], own[i]));
    const local = paths.filter((path) => !(step.keyword === "ADD" && isRemote(path)));
    const brings =
      origin.kind === "stage"
        ? origin.stage.carries && "stage"
        : origin.kind === "context" && local.some((path) => !isManifest(path, this.input)) && "context";
    const folder = posix.resolve(state.workdir, destination[0]);
    if (origin.kind === "context" && local.length > 0) state.destinations.push(folder);
    land(state, origin, paths, destination[0], this.input.files);
    landTexts(state, step, bodies, destination[0]);
    this.record(state, {
      ...details,
      origins: [origin],
      destination: { folder, isFolder: /(^|\/)\.?$/.test(destination[0]) || paths.length > 1 },
      sources: paths,
      linked,
      ...(brings && { brings }),
      reruns: differs(linked ? own : state.key),
    });
  }

  private record(state: StageState, executed: Executed): void {
    if (executed.brings) state.carries = true;
    this.executed.push(executed);
    // Only a finding can be corrected. A copy from another stage is not a finding, and the commit does not reach the
    // steps after it either.
    if (executed.brings !== "context" || executed.reruns || executed.linked || !this.input.mend) return;
    state.key = both((i) => digest(state.key[i], this.commits[i]));
    state.files.set(this.input.commitFile, this.commits);
  }

  private mount(flag: string, state: StageState): Mount {
    const options = new Map(
      flag.split(",").map((option): [string, string] => {
        const [name = "", ...value] = option.split("=");
        return [name.trim().toLowerCase(), this.expand(value.join("="), state.env)[0]];
      }),
    );
    const option = (...names: string[]) =>
      names.map((name) => options.get(name)).find((value) => value !== undefined);
    const type = option("type") ?? "bind";
    const from = option("from");
    return {
      type,
      from: from === undefined ? { kind: "context" } : this.origin(from, state, "names only"),
      source: option("source", "src") ?? "/",
      target: posix.resolve(state.workdir, option("target", "dst", "destination") ?? "/"),
    };
  }

  /** Finds a stage or an image. COPY also accepts the number of a stage; a mount does not. */
  private origin(from: string, state: StageState, numbers: "numbers" | "names only"): Origin {
    const { stages } = this.input.dockerfile;
    const found =
      /^\d+$/.test(from) && numbers === "numbers"
        ? stages[Number(from)]
        : (stages.slice(0, state.index).findLast(({ name }) => name !== "" && name === from.toLowerCase()) ??
          stages.find(({ name }) => name !== "" && name === from.toLowerCase()));
    const stage = found && this.build(found);
    return stage ? { kind: "stage", stage } : { kind: "image", image: from };
  }
}

/** Whether ADD fetches the source from the network. */
export function isRemote(source: string): boolean {
  return /^(https?|git|ssh):\/\//i.test(source) || /^git@[\w.-]+:/.test(source);
}
