import { posix } from "node:path";
import { visibleFiles } from "../freshness/dockerfile/manifests";
import { type ParsedDockerfile, parseDockerfile } from "../freshness/dockerfile/parse";
import { replay } from "../freshness/dockerfile/replay";
import type { Executed } from "../freshness/dockerfile/state";
import { type ComposeService, inRepository } from "./composeFile";
import { buildContext, dockerCall, valuesOf } from "./docker";
import type { Flow } from "./flow";
import type { ActionStep } from "./pipelines";
import type { Repository } from "./repository";

/** One way in which an image is built from a Dockerfile. */
export interface Build {
  /** Relative to the repository, like the context. */
  readonly dockerfile: string;
  readonly context: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
}

/** Also Dockerfile.web and web.Dockerfile; not Dockerfile.dockerignore, and nothing that is written about one. */
export const isDockerfile = (path: string) =>
  /(^|\/)((Dockerfile|Containerfile)(\.[\w.-]+)?|[\w.-]+\.[Dd]ockerfile)$/.test(path) &&
  !/\.(dockerignore|md|txt|j2|tmpl|template|orig|bak|swp)$/.test(path) &&
  !/(^|\/)\.devcontainer\//.test(path);

/** The ways in which the repository builds each Dockerfile; one that nothing names is built as by itself. */
export function buildsOf(
  repository: Repository,
  services: readonly ComposeService[],
  flows: readonly Flow[],
  steps: readonly ActionStep[],
): Build[] {
  const named = [
    ...services.flatMap(({ build }): Build[] => {
      if (build?.context === undefined) return [];
      const { dockerfile, context, target } = build;
      const args = Object.fromEntries(
        build.args.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
      );
      return [{ dockerfile, context, ...(target !== undefined && { target }), args }];
    }),
    ...flows.flatMap((flow) =>
      flow.commands.flatMap((command): Build[] => {
        const call = dockerCall(command);
        if (call?.action !== "build") return [];
        const given = [valuesOf(call.args, "--build-arg")].flat();
        const file = valuesOf(call.args, "-f", "--file")[0];
        return placed(
          repository,
          flow.path,
          buildContext(call.args),
          file,
          valuesOf(call.args, "--target")[0],
          given,
        );
      }),
    ),
    ...steps.flatMap(({ action, path, inputs }) =>
      action === "docker/build-push-action"
        ? placed(
            repository,
            path,
            inputs.at("context").text ?? ".",
            inputs.at("file").text,
            inputs.at("target").text,
            (inputs.at("build-args").text ?? "").split("\n").map((line) => line.trim()),
          )
        : [],
    ),
  ].filter(({ dockerfile, target }) => {
    const text = repository.texts.get(dockerfile);
    // A target that a script's variable names is none that could be judged.
    return text !== undefined && !/\$/.test(target ?? "");
  });
  const alone = [...repository.texts.keys()]
    .filter((path) => isDockerfile(path) && !named.some(({ dockerfile }) => dockerfile === path))
    .map((path): Build => ({ dockerfile: path, context: guessedContext(repository, path), args: {} }));
  return [...new Map([...named, ...alone].map((build) => [JSON.stringify(build), build])).values()];
}

/** A build as a script writes it: relative to where it runs, which is the root, or the script's own folder. */
function placed(
  repository: Repository,
  script: string,
  context: string,
  file: string | undefined,
  target: string | undefined,
  given: readonly string[],
): Build[] {
  if (context === "" || /^[a-z+]+:\/\/|^git@|\$/.test(context)) return [];
  for (const base of ["", posix.dirname(script), posix.dirname(posix.dirname(script))]) {
    const folder = inRepository(posix.join(base, context));
    if (folder === undefined) continue;
    const dockerfile =
      file === undefined ? posix.join(folder, "Dockerfile") : inRepository(posix.join(base, file));
    if (dockerfile === undefined || !repository.texts.has(dockerfile)) continue;
    const args = Object.fromEntries(
      given.flatMap((arg) => {
        const at = arg.indexOf("=");
        return at > 0 ? [[arg.slice(0, at), arg.slice(at + 1)]] : [];
      }),
    );
    const { GIT_COMMIT_HASH: _, ...others } = args;
    return [
      { dockerfile, context: folder, ...(target !== undefined && target !== "" && { target }), args: others },
    ];
  }
  return [];
}

/** The folder of the Dockerfile, or the root where only that holds what is copied. */
export function guessedContext(repository: Repository, dockerfile: string): string {
  const own = inRepository(posix.dirname(dockerfile)) ?? "";
  if (own === "") return own;
  const holds = (folder: string) => {
    const prefix = folder === "" ? "" : `${folder}/`;
    return sources(parseDockerfile(repository.texts.get(dockerfile) ?? "")).filter((source) => {
      const path = `${prefix}${source}`;
      return repository.files.some((file) => file === path || file.startsWith(`${path}/`));
    }).length;
  };
  return holds("") > holds(own) ? "" : own;
}

/** What is copied from the context under a plain name. */
function sources(file: ParsedDockerfile): string[] {
  return file.stages
    .flatMap(({ steps }) => steps)
    .filter(({ keyword, flags }) => keyword === "COPY" && !flags.some(({ name }) => name === "from"))
    .flatMap(({ text, json }) => (json ?? text.split(/\s+/)).slice(0, -1))
    .map((source) => posix.normalize(source).replace(/^\/+|\/+$/g, ""))
    .filter((source) => source !== "." && source !== "" && !/[*?$<]/.test(source));
}

/** What the .dockerignore of a build says, and where. */
export function ignoreFileOf(
  repository: Repository,
  { dockerfile, context }: Pick<Build, "dockerfile" | "context">,
): { path: string; text: string } | undefined {
  return [`${dockerfile}.dockerignore`, posix.join(context, ".dockerignore")].flatMap((path) => {
    const text = repository.texts.get(path);
    return text === undefined ? [] : [{ path, text }];
  })[0];
}

/** Of each repository and context: matching ten thousand files takes a while, and many builds share theirs. */
const contexts = new WeakMap<Repository, Map<string, string[]>>();

/** The files of a build's context that it gets to see, relative to the context. */
export function contextOf(repository: Repository, build: Build): string[] {
  const known = contexts.get(repository) ?? new Map<string, string[]>();
  contexts.set(repository, known);
  const ignore = ignoreFileOf(repository, build);
  const key = `${build.context}\0${ignore?.path ?? ""}`;
  const before = known.get(key);
  if (before) return before;
  const prefix = build.context === "" ? "" : `${build.context}/`;
  const files = repository.files
    .filter((file) => file.startsWith(prefix))
    .map((file) => file.slice(prefix.length));
  const visible = visibleFiles(files, ignore?.text);
  known.set(key, visible);
  return visible;
}

/** The steps that run for a build; none where its Dockerfile cannot be read. */
export function stepsOf(repository: Repository, build: Build): Executed[] {
  const dockerfile = parseDockerfile(repository.texts.get(build.dockerfile) ?? "");
  if (dockerfile.problems.length > 0) return [];
  const target = build.target === undefined ? {} : { target: build.target };
  return replay({ dockerfile, ...target, args: build.args, commitFile: "/app/COMMIT", mend: false });
}

/** Whether the image holds nothing of the repository. */
export function isForeign(executed: readonly Executed[]): boolean {
  return !executed.some(
    ({ step, origins, brings }) =>
      brings !== undefined ||
      ((step.keyword === "COPY" || step.keyword === "ADD") && origins.some(({ kind }) => kind === "context")),
  );
}
