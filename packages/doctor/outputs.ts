import { posix } from "node:path";
import { reaches } from "../../freshness/dockerfile/manifests";
import { programOf } from "../../freshness/dockerfile/shell";
import type { Executed } from "../../freshness/dockerfile/state";
import { type Build, ignoreFileOf, type Use } from "./builds";
import type { Finding } from "./finding";
import { ignoreRules } from "./ignoreRules";
import { filesBelow, type Repository } from "./repository";

/** Names of folders and files that a build creates. */
const OUTPUT =
  /(^|\/)(target|dist|build|out|_build|publish|\.next|\.output|\.nuxt|\.svelte-kit|storybook-static|_site|\.vercel|release|releases|artifacts?|bin)(\/|$)|\.(jar|war|ear|whl|egg|dll|exe|gem|nupkg|phar)$|-(linux|amd64|arm64|x86_64)(-\w+)?$/;
/** Commands that rebuild the output in the job that builds the image. */
const BUILD_COMMAND =
  /\b(mvnw?|gradlew?|gradle|npm|yarn|pnpm|bun|npx|vite|tsc|go|cargo|make|dotnet|sbt|bazel|ng|nx|turbo|next|hugo|jekyll|python3?|pip|poetry|uv|goreleaser|download-artifact|just|task|[\w-]*build[\w-]*\.sh|build|assemble|prepare)\b/;

/** Findings for files copied from the output folder of a build on the machine. */
export function outsideFindings(
  repository: Repository,
  build: Build,
  executed: readonly Executed[],
  uses: readonly Use[],
): Finding[] {
  const isBuiltBefore =
    uses.length > 0 && uses.every(({ via, before }) => via !== undefined && BUILD_COMMAND.test(before));
  // GoReleaser builds the files that it copies into images.
  const isReleased = [...repository.texts.keys()].some((file) => /^\.?goreleaser[\w.-]*\.ya?ml$/.test(file));
  if (isBuiltBefore || isReleased) return [];
  const rules = ignoreRules(ignoreFileOf(repository, build)?.text ?? "");
  const prefix = build.context === "" ? "" : `${build.context}/`;
  const inContext = filesBelow(repository, build.context);
  const copies = executed.filter(
    ({ step, origins }) => step.keyword !== "RUN" && origins.some(({ kind }) => kind === "context"),
  );
  return copies.flatMap(({ step, sources }): Finding[] => {
    const found = sources
      .map((source) => posix.normalize(source).replace(/^\/+|\/$/g, ""))
      .find((source) => {
        if (source === "." || source === "" || /\$|^[a-z]+:\//.test(source) || !OUTPUT.test(source))
          return false;
        const path = `/${prefix}${source}`;
        const known = inContext.some((file) => reaches(path, `/${prefix}${file}`));
        return !known && !rules.ignores(source.replace(/\*.*$/, "x"));
      });
    if (found === undefined) return [];
    return [
      {
        rule: "output-from-outside",
        severity: "warning",
        path: build.dockerfile,
        line: step.line,
        why: `${found} is not in the repository: the image holds what was last built on the machine, unless the job builds it again just before`,
        found: `${step.keyword} ${step.text}`.slice(0, 200),
        fix: "Build it in a stage of this Dockerfile, and COPY --from that stage.",
      },
    ];
  });
}

interface Kept {
  /** Relative to the context, with a file in it. */
  readonly path: string;
  readonly name: string;
  readonly reason: string;
}

/** Files that must not be copied from the build context into an image, and why. */
const REASONS = {
  ".next": "what next build left there, its cache included, is built into the image of another commit",
  node_modules: "what is installed on the machine lies over what the image has installed from its lockfile",
  __pycache__: "bytecode of an earlier source comes along and can be run instead of the source",
  output: "output of an earlier commit comes along, and the build in the image does not delete it",
} as const;

/** Findings for files that a build's .dockerignore lets into a COPY of a whole folder. */
export function ignoreFindings(
  repository: Repository,
  build: Build,
  executed: readonly Executed[],
  uses: readonly Use[],
): Finding[] {
  // A job's clean checkout has no files of an earlier build.
  if (
    uses.length > 0 &&
    uses.every(({ via, isHosted, isCheck }) => via !== undefined && (isHosted || isCheck))
  )
    return [];
  const ignore = ignoreFileOf(repository, build);
  const copies = executed.filter(
    ({ step, brings, origins }) =>
      brings === "context" && step.keyword !== "RUN" && origins.some(({ kind }) => kind === "context"),
  );
  // Nothing is copied without a COPY.
  if (copies.length === 0) return [];
  const rules = ignoreRules(ignore?.text ?? "");
  const found = new Map<string, { kept: Kept; copy: Executed }>();
  for (const kept of candidates(repository, build, executed)) {
    if (found.has(kept.name) || rules.ignores(kept.path)) continue;
    const copy = copies.find(
      (one) =>
        one.sources.some(
          (source) => reaches(source, `/${kept.path}`) && !excludes(one.step.flags, kept.path),
        ) && !isReplaced(kept, one, executed),
    );
    if (copy) found.set(kept.name, { kept, copy });
  }
  const [first] = found.values();
  if (!first) return [];
  const all = [...found.values()].map(({ kept }) => kept);
  const file = ignore?.path ?? posix.join(build.context, ".dockerignore");
  const { line } = first.copy.step;
  const names = all.map(({ name }) => name);
  return [
    {
      rule: "ignored-too-little",
      severity: "warning",
      path: ignore?.path ?? build.dockerfile,
      line: ignore ? negationLine(ignore.text, names) : line,
      why: `COPY at line ${line} of ${build.dockerfile} takes ${names.join(", ")} along where the folder has it: ${[...new Set(all.map(({ reason }) => reason))].join("; ")}`,
      found: ignore ? `${names.join(", ")} not ignored` : "no .dockerignore",
      fix: `Add to ${file}:\n${all.map(pattern).join("\n")}`,
    },
  ];
}

function pattern({ path, name }: Kept): string {
  return path.startsWith(`${name}/`) && name !== "__pycache__" ? name : `**/${name.split("/").at(-1)}`;
}

function excludes(flags: Executed["step"]["flags"], path: string): boolean {
  return flags.some(({ name, value }) => name === "exclude" && ignoreRules(value).ignores(path));
}

/** `npm ci` deletes node_modules before it installs. */
function isReplaced({ name }: Kept, copy: Executed, executed: readonly Executed[]): boolean {
  if (name !== "node_modules") return false;
  const later = executed.slice(executed.indexOf(copy) + 1).filter(({ stage }) => stage === copy.stage);
  return later.some(({ commands }) =>
    commands.some((command) => {
      const { program, args } = programOf(command);
      return program === "npm" && (args[0] === "ci" || args[0] === "clean-install");
    }),
  );
}

/** Possible folders of this kind, by the content of the context. */
function candidates(repository: Repository, build: Build, executed: readonly Executed[]): Kept[] {
  const { context } = build;
  const prefix = context === "" ? "" : `${context}/`;
  const inside = filesBelow(repository, context).filter(
    (file) => !/(^|\/)(node_modules|\.venv|venv|vendor)\//.test(file),
  );
  const folders = (wanted: (name: string, path: string) => boolean) => [
    ...new Set(
      inside
        .filter((file) => wanted(posix.basename(file), file))
        .map((file) => (file.includes("/") ? `${posix.dirname(file)}/` : "")),
    ),
  ];
  const textOf = (path: string) => repository.texts.get(`${prefix}${path}`) ?? "";
  const isNext = (name: string, path: string) =>
    /^next\.config\.[cm]?[jt]s$/.test(name) || (name === "package.json" && /"next"\s*:/.test(textOf(path)));
  const installs = ran(executed, /^(npm|yarn|pnpm|bun)$/);
  const kept: Kept[] = [];
  const add = (name: string, folder: string, reason: string) =>
    kept.push({
      // Many files ignore bytecode by its ending.
      path: `${folder}${name}/${name === "__pycache__" ? "x.cpython-312.pyc" : "x"}`,
      name,
      reason,
    });
  for (const folder of folders(isNext))
    kept.push({ path: `${folder}.next/cache/x`, name: ".next", reason: REASONS[".next"] });
  if (installs)
    for (const folder of folders((name) => name === "package.json"))
      add("node_modules", folder, REASONS.node_modules);
  for (const folder of folders((name) => name.endsWith(".py")))
    add("__pycache__", folder, REASONS.__pycache__);
  for (const [program, manifest, name] of BUILDERS) {
    if (!ran(executed, program)) continue;
    for (const folder of folders((file) => manifest.test(file))) add(name, folder, REASONS.output);
  }
  if (ran(executed, /^(tsc|npx|npm|yarn|pnpm|bun|node)$/))
    for (const folder of folders((name) => /^tsconfig(\.\w+)?\.json$/.test(name))) {
      const output = outDirOf(textOf(`${folder}tsconfig.json`), textOf(`${folder}package.json`), executed);
      if (output !== undefined) add(output, folder, REASONS.output);
    }
  // What the repository contains is source, whatever its name.
  return kept.filter(
    ({ path }) =>
      !inside.some(
        (file) =>
          file.startsWith(posix.dirname(path) === "." ? path : `${posix.dirname(path)}/`) &&
          repository.tracked?.has(`${prefix}${file}`),
      ),
  );
}

/** Programs that build into a folder and reuse its content. */
const BUILDERS: readonly [RegExp, RegExp, string][] = [
  [/^cargo$/, /^Cargo\.toml$/, "target"],
  [/^mvnw?$/, /^pom\.xml$/, "target"],
  [/^gradlew?$/, /^build\.gradle(\.kts)?$/, "build"],
  [/^dotnet$/, /\.(cs|fs)proj$/, "obj"],
  [/^mix$/, /^mix\.exs$/, "_build"],
  [/^(pip\d?|uv|python[\d.]*)$/, /^setup\.(py|cfg)$/, "build"],
];

function ran(executed: readonly Executed[], wanted: RegExp): boolean {
  return executed.some(({ commands }) => commands.some((command) => wanted.test(programOf(command).program)));
}

/** The folder that tsc compiles into, if the image runs tsc. Bundlers empty their output folders. */
function outDirOf(tsconfig: string, manifest: string, executed: readonly Executed[]): string | undefined {
  const output = /"outDir"\s*:\s*"(?:\.\/)?([\w.-]+)\/?"/.exec(tsconfig)?.[1];
  if (output === undefined || output === ".") return undefined;
  const scripts = /"scripts"\s*:\s*\{([^}]*)\}/.exec(manifest)?.[1] ?? "";
  const build = /"build"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(scripts)?.[1] ?? "";
  const isCompiled = (text: string) =>
    /\btsc\b/.test(text) && !/--noEmit|rimraf|rm -rf|clean|del-cli|shx rm/.test(text);
  const runs = executed.flatMap(({ commands }) =>
    commands.map((command) => {
      const { program, args } = programOf(command);
      return [program, ...args].join(" ");
    }),
  );
  if (runs.some((text) => /rm -rf? .*\b(dist|build|out|lib)\b/.test(text))) return undefined;
  const isScript = runs.some((text) => /^(npm|yarn|pnpm|bun)( run)? build\b/.test(text)) && isCompiled(build);
  return isScript || runs.some(isCompiled) ? output : undefined;
}

/** The line that includes it again, if any. */
function negationLine(text: string, names: readonly string[]): number {
  const at = text
    .split("\n")
    .findIndex((line) => line.trim().startsWith("!") && names.some((name) => line.includes(name)));
  return at < 0 ? 1 : at + 1;
}
