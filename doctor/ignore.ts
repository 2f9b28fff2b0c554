import { posix } from "node:path";
import { reaches } from "../freshness/dockerfile/manifests";
import type { Executed } from "../freshness/dockerfile/state";
import { ignoreRules } from "../freshness/dockerignore";
import { type Build, ignoreFileOf } from "./builds";
import type { Diagnosis } from "./finding";
import type { Repository } from "./repository";

/** What must not come into an image from the folder it is built in, and why. */
const REASONS = {
  ".next": "what next build left there, its cache included, is built into the image of another commit",
  node_modules: "what is installed on the machine lies over what the image has installed from its lockfile",
  __pycache__: "bytecode of an earlier source comes along and can be run instead of the source",
  ".git":
    "a build that asks git for its commit is told that of the checkout, whatever files it was given, and every fetch makes all layers anew",
} as const;
type Name = keyof typeof REASONS;

/** What a build's .dockerignore lets into a COPY of a whole folder. */
export function ignoreFindings(
  repository: Repository,
  build: Build,
  executed: readonly Executed[],
): Diagnosis[] {
  const ignore = ignoreFileOf(repository, build);
  const rules = ignoreRules(ignore?.text ?? "");
  const copies = executed.filter(
    ({ step, brings, origins }) =>
      brings === "context" && step.keyword !== "RUN" && origins.some(({ kind }) => kind === "context"),
  );
  const found = new Map<Name, { path: string; copy: Executed }>();
  // Without a COPY nothing comes along.
  if (copies.length === 0) return [];
  for (const [name, path] of candidates(repository, build)) {
    if (found.has(name) || rules.ignores(path)) continue;
    const copy = copies.find(({ sources, step }) =>
      sources.some((source) => reaches(source, `/${path}`) && !excludes(step.flags, path)),
    );
    if (copy) found.set(name, { path, copy });
  }
  return [...found].map(([name, { path, copy }]) => {
    const line = copy.step.line;
    const folder = path.slice(0, path.indexOf(name) + name.length);
    const pattern = folder === name && name !== "__pycache__" ? name : `**/${name}`;
    const file = ignore?.path ?? posix.join(build.context, ".dockerignore");
    return {
      rule: "ignored-too-little",
      severity: "warning",
      path: ignore?.path ?? build.dockerfile,
      line: ignore ? negationLine(ignore.text, name) : line,
      why: `COPY at line ${line} of ${build.dockerfile} takes ${folder} along where it exists: ${REASONS[name]}`,
      found: ignore ? `${name} is not ignored` : `no .dockerignore ignores ${name}`,
      fix: `Add to ${file}: ${pattern}`,
    };
  });
}

function excludes(flags: Executed["step"]["flags"], path: string): boolean {
  return flags.some(({ name, value }) => name === "exclude" && ignoreRules(value).ignores(path));
}

/** Where such a folder would be, by what lies in the context. */
function candidates(repository: Repository, { context }: Build): [Name, string][] {
  const prefix = context === "" ? "" : `${context}/`;
  const inside = repository.files
    .filter((file) => file.startsWith(prefix))
    .map((file) => file.slice(prefix.length));
  const folders = (wanted: (name: string, path: string) => boolean) => [
    ...new Set(
      inside
        .filter(
          (file) =>
            !/(^|\/)(node_modules|\.venv|venv|vendor)\//.test(file) && wanted(posix.basename(file), file),
        )
        .map((file) => (file.includes("/") ? `${posix.dirname(file)}/` : "")),
    ),
  ];
  const isNext = (name: string, path: string) =>
    /^next\.config\.[cm]?[jt]s$/.test(name) ||
    (name === "package.json" && /"next"\s*:/.test(repository.texts.get(`${prefix}${path}`) ?? ""));
  const isRoot =
    context === "" && (repository.tracked !== undefined || inside.some((file) => file === ".gitignore"));
  return [
    ...folders(isNext).map((folder): [Name, string] => [".next", `${folder}.next/cache/x`]),
    ...folders((name) => name === "package.json").map((folder): [Name, string] => [
      "node_modules",
      `${folder}node_modules/x/x.js`,
    ]),
    ...folders((name) => name.endsWith(".py")).map((folder): [Name, string] => [
      "__pycache__",
      `${folder}__pycache__/x.pyc`,
    ]),
    ...(isRoot ? [[".git", ".git/HEAD"] as [Name, string]] : []),
  ];
}

/** The line that lets it in again, if there is one. */
function negationLine(text: string, name: string): number {
  const at = text.split("\n").findIndex((line) => line.trim().startsWith("!") && line.includes(name));
  return at < 0 ? 1 : at + 1;
}
