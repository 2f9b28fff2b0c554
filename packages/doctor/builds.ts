import { posix } from "node:path";
import { type ParsedDockerfile, parseDockerfile } from "../../freshness/dockerfile/parse";
import { replay } from "../../freshness/dockerfile/replay";
import type { Executed } from "../../freshness/dockerfile/state";
import { textBefore } from "../../freshness/sure";
import type { BakeTarget } from "./bake";
import { commitNames, isCommitGiven, withCommitNamed } from "./commitArgument";
import { type ComposeService, inRepository } from "./composeFile";
import { buildContext, dockerCall, has, passesCommit, valuesOf } from "./docker";
import type { Flow } from "./flow";
import { ignoreRules } from "./ignoreRules";
import type { ActionStep } from "./pipelines";
import { filesBelow, type Repository } from "./repository";
import { isTemplate } from "./scope";

/** One way to build an image from a Dockerfile. */
export interface Build {
  /** Relative to the repository, like the context. */
  readonly dockerfile: string;
  readonly context: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
  /** Names of additional contexts. */
  readonly contexts?: readonly string[];
}

/** A build, and what calls it. */
export interface Use extends Build {
  /** Where it is called; absent if nothing in the repository calls it. */
  readonly via?: { readonly path: string; readonly line: number };
  /** Whether the call passes the commit, or may pass it. */
  readonly isTold: boolean;
  readonly noCache: boolean;
  /** Whether its machine is deleted afterwards. */
  readonly isHosted: boolean;
  /** Whether its result is only checked. */
  readonly isCheck: boolean;
  /** Whether it pulls newer base images. */
  readonly pulls: boolean;
  /** The names of the image. */
  readonly tags: readonly string[];
  /** The commands that the same job runs before, as text. */
  readonly before: string;
}

/**
 * Matches Dockerfile.web, web.Dockerfile and dockerfile too, but not Dockerfile.dockerignore or documentation about
 * one.
 */
export const isDockerfile = (path: string) =>
  /(^|\/)(([Dd]ockerfile|DOCKERFILE|[Cc]ontainerfile)([._-][\w.-]+)?|[\w.-]+[._-]([Dd]ockerfile|[Cc]ontainerfile))$/.test(
    path,
  ) &&
  !/\.(dockerignore|[jt]sx?|py|go|rs|rb|java|ya?ml|json|toml|sh|lock|html|css|png|svg)$/.test(path) &&
  !isTemplate(path);

/** The files in a repository that call builds. */
export interface Callers {
  readonly services: readonly ComposeService[];
  readonly flows: readonly Flow[];
  readonly steps: readonly ActionStep[];
  readonly bakes: readonly BakeTarget[];
  /** Whether every compose build in a script passes the commit. */
  readonly isComposeTold: boolean;
  /** Whether every one of them builds without the cache. */
  readonly isComposeUncached: boolean;
}

/**
 * The ways in which the repository builds each Dockerfile. A Dockerfile that nothing calls is built on its own.
 * @param over applies a reader to each file, and returns nothing for a file that cannot be read
 */
export function usesOf(
  repository: Repository,
  callers: Callers,
  over: <T extends { readonly path: string }>(
    items: readonly T[],
    task: (item: T) => Use[],
  ) => readonly Use[],
): Use[] {
  const named = [
    ...over(callers.services, (service) => composeUses(service, callers)),
    ...over(callers.flows, (flow) => flowUses(repository, flow)),
    ...over(callers.steps, (step) => actionUses(repository, step)),
    ...over(callers.bakes, (target) => bakeUses(repository, target)),
  ].filter(
    ({ dockerfile, target }) =>
      // A target in a script's variable cannot be judged.
      repository.texts.has(dockerfile) && !/\$/.test(target ?? ""),
  );
  const called = new Set(named.map(({ dockerfile }) => dockerfile));
  const alone = over(
    [...repository.texts.keys()]
      .filter((path) => isDockerfile(path) && !called.has(path))
      .map((path) => ({ path })),
    ({ path }) => [
      // Assume that an unknown caller passes every argument.
      use({ dockerfile: path, context: guessedContext(repository, path), args: {} }, { isTold: true }),
    ],
  );
  return [...named, ...alone].filter(
    ({ dockerfile }) => !isTemplate(dockerfile, repository.texts.get(dockerfile)?.slice(0, 10_000)),
  );
}

/** The distinct builds, whoever calls them. */
export function buildsAmong(uses: readonly Use[]): Build[] {
  const builds = uses.map(
    ({ dockerfile, context, target, args, contexts }): Build => ({
      dockerfile,
      context,
      ...(target !== undefined && { target }),
      args,
      ...(contexts && contexts.length > 0 && { contexts }),
    }),
  );
  return [...new Map(builds.map((build) => [JSON.stringify(build), build])).values()];
}

function use(build: Build, more: Partial<Use> = {}): Use {
  return {
    isTold: false,
    noCache: false,
    isHosted: false,
    isCheck: false,
    pulls: false,
    tags: [],
    before: "",
    ...build,
    ...more,
  };
}

function composeUses(service: ComposeService, { isComposeTold, isComposeUncached }: Callers): Use[] {
  const { build, path, image } = service;
  if (build?.context === undefined) return [];
  const { dockerfile, context, target, contexts } = build;
  const args = Object.fromEntries(
    build.args.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
  );
  const given = build.args.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`));
  return [
    use(
      { dockerfile, context, ...(target !== undefined && { target }), args, contexts },
      {
        via: { path, line: build.line },
        isTold: isComposeTold || given.some(isCommitGiven),
        noCache: build.noCache || isComposeUncached,
        pulls: build.pull,
        tags: image ? [image.text] : [],
      },
    ),
  ];
}

function flowUses(repository: Repository, flow: Flow): Use[] {
  return flow.commands.flatMap((command, at): Use[] => {
    const call = dockerCall(command);
    if (call?.action !== "build") return [];
    const { args } = call;
    const before = flow.commands.slice(0, at).map(({ words }) => words.join(" "));
    return placed(
      repository,
      flow.path,
      {
        context: buildContext(args),
        file: valuesOf(args, "-f", "--file")[0],
        target: valuesOf(args, "--target")[0],
        given: valuesOf(args, "--build-arg"),
        contexts: valuesOf(args, "--build-context").map((one) => textBefore(one, "=")),
      },
      {
        via: { path: flow.path, line: command.line },
        isTold: passesCommit(command, args),
        noCache: has(args, "--no-cache"),
        isHosted: command.isHosted,
        isCheck: flow.isCheck ?? false,
        pulls: has(args, "--pull") || before.some((text) => /\bdocker (image )?pull\b/.test(text)),
        tags: valuesOf(args, "-t", "--tag"),
        before: before.join("\n"),
      },
    );
  });
}

/** Actions that build a Dockerfile as docker/build-push-action does. */
export const BUILD_ACTIONS = /^(docker|depot|useblacksmith)\/build-push-action$/;

function actionUses(repository: Repository, step: ActionStep): Use[] {
  if (!BUILD_ACTIONS.test(step.action)) return [];
  const { inputs, path, line, isHosted, before } = step;
  const given = linesOf(inputs.at("build-args").text);
  const isOn = (key: string) => inputs.at(key).text === "true";
  const outputs = inputs.at("outputs").text ?? "";
  const isKept = inputs.at("push").text ?? (isOn("load") || outputs !== "" ? "true" : "false");
  return placed(
    repository,
    path,
    {
      context: inputs.at("context").text ?? ".",
      file: inputs.at("file").text,
      target: inputs.at("target").text,
      given,
      contexts: linesOf(inputs.at("build-contexts").text).map((one) => textBefore(one, "=").trim()),
    },
    {
      via: { path, line },
      isTold: given.some((arg) => isCommitGiven(arg) || arg.startsWith("${{")),
      noCache: isOn("no-cache"),
      // Depot and Blacksmith keep a builder's layers between jobs.
      isHosted: isHosted && step.action.startsWith("docker/"),
      isCheck: step.isCheck || isKept === "false",
      pulls: isOn("pull"),
      tags: linesOf(inputs.at("tags").text).flatMap((each) => each.split(",")),
      before,
    },
  );
}

function bakeUses(repository: Repository, target: BakeTarget): Use[] {
  const texts = (key: string) => target.values.get(key)?.texts ?? [];
  const context = texts("context")[0] ?? ".";
  const file = texts("dockerfile")[0];
  return placed(
    repository,
    target.path,
    {
      context,
      // In a bake file, the Dockerfile's path is relative to the context.
      file: file === undefined ? undefined : posix.join(context, file),
      target: texts("target")[0],
      given: texts("args"),
      contexts: texts("contexts").map((one) => textBefore(one, "=")),
    },
    {
      via: { path: target.path, line: target.line },
      isTold: texts("args").some(isCommitGiven),
      noCache: texts("no-cache")[0] === "true",
      pulls: texts("pull")[0] === "true",
      tags: texts("tags"),
    },
  );
}

/** The lines of an input with several values. */
export function linesOf(text: string | undefined): string[] {
  return (text ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

interface Written {
  readonly context: string;
  readonly file: string | undefined;
  readonly target: string | undefined;
  readonly given: readonly string[];
  readonly contexts: readonly string[];
}

/**
 * A build as a script writes it, relative to the folder where the script runs: the root, or the script's own folder.
 */
function placed(repository: Repository, script: string, written: Written, more: Partial<Use>): Use[] {
  const { context, file, target, given, contexts } = written;
  if (context === "" || /^[a-z+]+:\/\/|^git@/.test(context)) return [];
  // A well-known variable means the root. For any other variable, the context is guessed from the Dockerfile.
  const plain =
    /^\$\{?(PWD|GITHUB_WORKSPACE|CI_PROJECT_DIR|ROOT\w*|PROJECT\w*|WORKSPACE)\}?\/?$|^\$\(pwd\)$|^_$/i.test(
      context,
    )
      ? "."
      : context;
  if (plain.includes("$")) return [];
  for (const base of ["", posix.dirname(script), posix.dirname(posix.dirname(script))]) {
    const folder = inRepository(posix.join(base, plain));
    if (folder === undefined) continue;
    const dockerfile =
      file === undefined ? ownDockerfile(repository, folder) : inRepository(posix.join(base, file));
    if (dockerfile === undefined || !repository.texts.has(dockerfile)) continue;
    const args = Object.fromEntries(
      given.flatMap((arg) => {
        const at = arg.indexOf("=");
        return at > 0 ? [[arg.slice(0, at), arg.slice(at + 1)]] : [];
      }),
    );
    const { GIT_COMMIT_HASH: _, ...others } = args;
    const isTargeted = target !== undefined && target !== "";
    return [
      use({ dockerfile, context: folder, ...(isTargeted && { target }), args: others, contexts }, more),
    ];
  }
  return [];
}

function ownDockerfile(repository: Repository, folder: string): string | undefined {
  return ["Dockerfile", "dockerfile", "Containerfile"]
    .map((name) => posix.join(folder, name))
    .find((path) => repository.texts.has(path));
}

/** The folder of the Dockerfile, or the root if only the root has the copied files. */
export function guessedContext(repository: Repository, dockerfile: string): string {
  const own = inRepository(posix.dirname(dockerfile)) ?? "";
  if (own === "") return own;
  const copied = sources(parseDockerfile(repository.texts.get(dockerfile) ?? ""));
  const holds = (folder: string) => {
    const files = filesBelow(repository, folder);
    return copied.filter((source) => files.some((file) => file === source || file.startsWith(`${source}/`)))
      .length;
  };
  if (holds("") !== holds(own)) return holds("") > holds(own) ? "" : own;
  // A folder with nothing but Dockerfiles has no sources of its own: `ADD . /src` copies the repository.
  const isBare = filesBelow(repository, own).every(
    (file) => isDockerfile(file) || /\.(md|dockerignore)$/.test(file),
  );
  return isBare ? "" : own;
}

/** Sources copied from the context by a plain name. */
function sources(file: ParsedDockerfile): string[] {
  return file.stages
    .flatMap(({ steps }) => steps)
    .filter(({ keyword, flags }) => keyword === "COPY" && !flags.some(({ name }) => name === "from"))
    .flatMap(({ text, json }) => (json ?? text.split(/\s+/)).slice(0, -1))
    .map((source) => posix.normalize(source).replace(/^\/+|\/+$/g, ""))
    .filter((source) => source !== "." && source !== "" && !/[*?$<]/.test(source));
}

/** The path and text of a build's .dockerignore. */
export function ignoreFileOf(
  repository: Repository,
  { dockerfile, context }: Pick<Build, "dockerfile" | "context">,
): { path: string; text: string } | undefined {
  return [`${dockerfile}.dockerignore`, posix.join(context, ".dockerignore")].flatMap((path) => {
    const text = repository.texts.get(path);
    return text === undefined ? [] : [{ path, text }];
  })[0];
}

/** By repository and context: matching ten thousand files takes long, and many builds share a context. */
const contexts = new WeakMap<Repository, Map<string, string[]>>();

/** The files in a build's context after .dockerignore, relative to the context. */
export function contextOf(repository: Repository, build: Build): string[] {
  const known = contexts.get(repository) ?? new Map<string, string[]>();
  contexts.set(repository, known);
  const ignore = ignoreFileOf(repository, build);
  const key = `${build.context}\0${ignore?.path ?? ""}`;
  const before = known.get(key);
  if (before) return before;
  const files = filesBelow(repository, build.context);
  const rules = ignoreRules(ignore?.text ?? "");
  const visible = files.filter((file) => !rules.ignores(file));
  known.set(key, visible);
  return visible;
}

/** The text of a build's Dockerfile, with the commit argument renamed to the name that the rules use. */
export function dockerfileOf(repository: Repository, { dockerfile, args }: Build): string {
  const given = Object.entries(args).map(([name, value]) => `${name}=${value}`);
  return withCommitNamed(repository.texts.get(dockerfile) ?? "", commitNames(given));
}

/** The steps that run in a build; none if its Dockerfile cannot be read. */
export function stepsOf(repository: Repository, build: Build): Executed[] {
  const dockerfile = parseDockerfile(dockerfileOf(repository, build));
  if (dockerfile.problems.length > 0) return [];
  const target = build.target === undefined ? {} : { target: build.target };
  return replay({ dockerfile, ...target, args: build.args, commitFile: "/app/COMMIT", mend: false });
}

/** Whether the image contains nothing from the repository. */
export function isForeign(executed: readonly Executed[]): boolean {
  return !executed.some(
    ({ step, origins, brings }) =>
      brings !== undefined ||
      ((step.keyword === "COPY" || step.keyword === "ADD") && origins.some(({ kind }) => kind === "context")),
  );
}
