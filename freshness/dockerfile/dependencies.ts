import { posix } from "node:path";
import { NAMESPACE } from "../project";
import { must } from "../sure";
import { COMMIT_ARG, type Finding } from "./finding";
import type { DockerfileInput, Held } from "./input";
import { isManifest, reaches, visibleFiles } from "./manifests";
import { type ParsedDockerfile, parseDockerfile, type Stage } from "./parse";
import { findTarget, replay } from "./replay";
import { programOf } from "./shell";
import type { Executed } from "./state";
import { assignments } from "./words";

/** Everything that determines the content of a dependency stage, except its base images. */
export interface DependencyBuild {
  /** The Dockerfile up to the stage's end. Later stages do not affect it. */
  readonly dockerfile: string;
  /** Build args that it declares. */
  readonly args: Readonly<Record<string, string>>;
  /** Files of the context that it copies or mounts: manifests and lockfiles. */
  readonly files: readonly string[];
}

/** Lockfiles that contain the versions that a manifest leaves open. */
const LOCKS: readonly { readonly manifest: RegExp; readonly lock: RegExp; readonly named: string }[] = [
  {
    manifest: /^package\.json$/,
    lock: /^(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?)$/,
    named: "package-lock.json, yarn.lock, pnpm-lock.yaml or bun.lock",
  },
  {
    manifest: /^(pyproject\.toml|setup\.cfg)$/,
    lock: /^((poetry|uv|pdm)\.lock|([\w.-]*-)?requirements([.-][\w.-]*)?\.txt)$/,
    named: "uv.lock, poetry.lock, pdm.lock or a requirements.txt with == in every line",
  },
  { manifest: /^Pipfile$/, lock: /^Pipfile\.lock$/, named: "Pipfile.lock" },
  { manifest: /^Cargo\.toml$/, lock: /^Cargo\.lock$/, named: "Cargo.lock" },
  { manifest: /^(Gemfile|[\w-]+\.gemspec)$/, lock: /^Gemfile\.lock$/, named: "Gemfile.lock" },
  { manifest: /^composer\.json$/, lock: /^composer\.lock$/, named: "composer.lock" },
  { manifest: /^mix\.exs$/, lock: /^mix\.lock$/, named: "mix.lock" },
  { manifest: /^build\.gradle(\.kts)?$/, lock: /^gradle\.lockfile$/, named: "gradle.lockfile" },
  {
    manifest: /^[\w.-]+\.(cs|fs|vb)proj$/i,
    lock: /^packages\.lock\.json$/,
    named: "packages.lock.json",
  },
];

/** Package managers. Any version is allowed, because the lockfile pins what they install. */
const INSTALLERS =
  /^(npm|yarn|pnpm|bun|corepack|pip|setuptools|wheel|poetry|uv|pdm|pipenv|hatch|pip-tools|virtualenv)$/;

/** Finds what forbids to keep a stage's layers through the prune: source, the commit, or unpinned versions. */
export function dependencyFindings(input: DockerfileInput, { stage: name, read }: Held): Finding[] {
  const { path, service } = input;
  const file = parseDockerfile(input.dockerfile);
  const stage = findTarget(file, name);
  const key = `${NAMESPACE}:services.${service}.dependencyStage`;
  if (!stage)
    return [
      {
        path,
        line: file.stages.at(-1)?.line ?? 1,
        why: `there is no stage "${name}", which ${key} names`,
        expected: `a stage named "${name}"`,
        found: file.stages.flatMap((each) => each.name || []).join(", ") || "no named stage",
        remedy: `Name the stage that installs the dependencies in ${path}, FROM … AS ${name}, or set ${key}.`,
      },
    ];
  const executed = replayed(input, file, name);
  const remedy = `Keep only dependencies in the stage, or unset ${key}.`;
  const of = ({ step }: Executed) => ({ path, line: step.line });
  const sources = executed
    .filter(({ brings }) => brings === "context")
    .map((one) => ({
      ...of(one),
      why: `${one.step.keyword} brings source into dependency stage "${name}", whose layers are kept through the prune`,
      expected: "only manifests and lockfiles",
      found: `${one.step.keyword} ${one.step.text}`.slice(0, 80),
      remedy,
    }));
  const commits = executed
    .filter(({ reruns }) => reruns)
    .slice(0, 1)
    .map((one) => ({
      ...of(one),
      why: `dependency stage "${name}" depends on the commit, so that no later commit can reuse it`,
      expected: `a stage without ${COMMIT_ARG}`,
      found: `${one.step.keyword} at line ${one.step.line} depends on it`,
      remedy: `Declare ${COMMIT_ARG} in a later stage, or unset ${key}.`,
    }));
  if (sources.length > 0 || commits.length > 0) return [...sources, ...commits];
  return floating(filesOf(input, executed), read, stage, executed).map((found) => ({
    path,
    line: found.line,
    why: `dependency stage "${name}" installs versions that the commit does not pin: ${found.what}; kept through the prune, they would stay those of the first build`,
    expected: found.expected,
    found: found.what,
    remedy: `Commit the lockfile and copy it in stage "${name}" of ${path}, or unset ${key}.`,
  }));
}

/** Input of a dependency stage. `dependencyFindings` must return nothing for it. */
export function dependencyBuild(input: DockerfileInput, held: string): DependencyBuild {
  const file = parseDockerfile(input.dockerfile);
  const stage = must(findTarget(file, held), `stage "${held}" in the Dockerfile`);
  const steps = [...file.globals, ...file.stages.slice(0, stage.index + 1).flatMap(({ steps }) => steps)];
  const declared = new Set(
    steps
      .filter(({ keyword }) => keyword === "ARG")
      .flatMap(({ text }) => assignments(text, "ARG", file.escapeChar).map(({ name }) => name)),
  );
  return {
    dockerfile: upTo(input.dockerfile, file, stage),
    args: Object.fromEntries(Object.entries(input.args).filter(([name]) => declared.has(name))),
    files: filesOf(input, replayed(input, file, held)),
  };
}

/**
 * Images from outside this file that the target's stages start from or copy files from. Images named by digest are
 * omitted, because they never change.
 */
export function baseImages(
  dockerfile: string,
  args: Readonly<Record<string, string>>,
  target?: string,
  platform?: string,
): string[] {
  const parsed = parseDockerfile(dockerfile);
  const executed = replay({ dockerfile: parsed, target, args, platform, commitFile: "", mend: false });
  const last = findTarget(parsed, target);
  const images = [
    ...executed.map(({ stage }) => stage.image),
    // Also watch the tag of an image that files are copied from.
    ...executed.flatMap(({ origins }) => origins.flatMap((of) => (of.kind === "image" ? [of.image] : []))),
    // A stage without instructions has no executed step.
    ...(last && last.steps.length === 0 ? [last.base] : []),
  ];
  return [...new Set(images)].filter((image) => image !== "scratch" && !/[@$]/.test(image));
}

/** The image that the target's chain of stages starts from; undefined if unknown. */
export function finalBase(
  dockerfile: string,
  args: Readonly<Record<string, string>>,
  target?: string,
): string | undefined {
  const parsed = parseDockerfile(dockerfile);
  const executed = replay({ dockerfile: parsed, target, args, commitFile: "", mend: false });
  // A stage without instructions has no executed step. Its content is its base.
  for (let stage = findTarget(parsed, target); stage !== undefined; ) {
    const { line, base, index } = stage;
    const found = executed.find((each) => each.stage.line === line);
    if (found) return found.stage.image;
    const parent = parsed.stages.slice(0, index).findLast(({ name }) => name === base.toLowerCase());
    if (parent === undefined) return base;
    stage = parent;
  }
  return undefined;
}

function replayed(input: DockerfileInput, dockerfile: ParsedDockerfile, target: string): Executed[] {
  const { args, platform, commitFile, contextFiles, dockerignore } = input;
  const files = contextFiles && visibleFiles(contextFiles, dockerignore);
  return replay({ dockerfile, target, args, platform, commitFile, mend: false, ...(files && { files }) });
}

/** The text up to the stage's end, without the comments that introduce the next stage. */
function upTo(text: string, file: ParsedDockerfile, stage: Stage): string {
  const lines = text.split("\n");
  const next = file.stages[stage.index + 1];
  const own = lines.slice(0, next === undefined ? lines.length : next.line - 1);
  while (/^\s*(#.*)?$/.test(own.at(-1) ?? "-")) own.pop();
  return `${own.join("\n")}\n`;
}

/** Files of the context that steps copy or mount. */
function filesOf(
  { contextFiles = [], dockerignore }: DockerfileInput,
  executed: readonly Executed[],
): string[] {
  const sources = executed.flatMap(({ origins, sources, mounts }) => [
    ...(origins[0]?.kind === "context" ? sources : []),
    ...mounts
      .filter(({ type, from }) => type === "bind" && from.kind === "context")
      .map(({ source }) => source),
  ]);
  return visibleFiles(contextFiles, dockerignore).filter((file) =>
    sources.some((source) => reaches(source, `/${file}`)),
  );
}

interface Floating {
  readonly line: number;
  readonly what: string;
  readonly expected: string;
}

/**
 * Finds versions that the commit does not pin.
 * @param files files of the context in the stage
 * @param read returns the text of one of them
 */
function floating(
  files: readonly string[],
  read: Held["read"],
  stage: Stage,
  executed: readonly Executed[],
): Floating[] {
  const named = executed.flatMap(installsByName);
  if (files.every((file) => !isManifest(file, {})))
    return [
      ...named,
      { line: stage.line, what: "it copies no lockfile", expected: "a COPY of a manifest and its lockfile" },
    ].slice(0, 1);
  const names = files.map((file) => posix.basename(file));
  const unlocked = LOCKS.filter(
    ({ manifest, lock }) =>
      names.some((name) => manifest.test(name)) && !names.some((name) => lock.test(name)),
  ).map(({ manifest, named }) => ({
    line: stage.line,
    what: `${names.find((name) => manifest.test(name))} without its lockfile`,
    expected: named,
  }));
  const open = files
    .filter((file) => /requirements[\w.-]*\.(txt|in)$|(^|\/)requirements\/[^/]+\.(txt|in)$/.test(file))
    .flatMap((file) => {
      const requirement = openRequirement(read(file));
      return requirement === undefined
        ? []
        : [
            {
              line: stage.line,
              what: `"${requirement}" in ${file}`,
              expected: "== and a version in every line",
            },
          ];
    });
  const go = names.includes("go.mod") && !names.includes("go.sum");
  const unsummed =
    go && files.some((file) => posix.basename(file) === "go.mod" && /^\s*require\b/m.test(read(file)))
      ? [{ line: stage.line, what: "go.mod without go.sum", expected: "go.sum" }]
      : [];
  return [...named, ...unlocked, ...open, ...unsummed];
}

/** The first line of a requirements file that leaves the version open. */
export function openRequirement(text: string): string | undefined {
  const lines = text.replace(/\\\r?\n/g, " ").split(/\r?\n/);
  return lines
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "")
    .find((line) => {
      if (/^-(e|-editable)\b/.test(line)) return true;
      // Other options, such as -r and --index-url, install nothing by themselves.
      if (line.startsWith("-")) return false;
      return (
        !/^[\w.-]+(\[[\w.,\s-]+\])?\s*===?\s*[^\s*,]+(\s|;|$)/.test(line) && !/@\s*\S+#sha256=/.test(line)
      );
    });
}

/** Packages that a command line names without a version: `pip install NAME`, `npm install NAME`. */
function installsByName({ commands, step }: Executed): Floating[] {
  return commands.flatMap((command) => {
    const { program, args } = programOf(command);
    const words = /^python/.test(program) && args[0] === "-m" ? args.slice(1) : [program, ...args];
    const [tool = "", action = "", ...rest] = words;
    const name = tool.replace(/^pip3?(\.\d+)?$/, "pip");
    const isInstall =
      (name === "pip" && action === "install") ||
      (/^(npm|pnpm|yarn|bun)$/.test(name) && /^(install|i|add)$/.test(action));
    if (!isInstall) return [];
    const open = packagesOf(name, rest).find((each) => !isPinned(name, each) && !INSTALLERS.test(each));
    return open === undefined
      ? []
      : [
          {
            line: step.line,
            what: `"${name} ${action} ${open}"`,
            expected: `${open} in the lockfile, or with its version`,
          },
        ];
  });
}

/** Options of pip that take the next word as value. */
const PIP_VALUES =
  /^(-r|--requirement|-c|--constraint|-i|--index-url|--extra-index-url|-f|--find-links|-t|--target|--prefix|--root|--platform|--python-version|--trusted-host|--cert|--timeout|--retries|--cache-dir|--no-binary|--only-binary|--progress-bar)$/;

function packagesOf(tool: string, words: readonly string[]): string[] {
  const found: string[] = [];
  let isValue = false;
  for (const word of words) {
    if (isValue) isValue = false;
    else if (tool === "pip" && PIP_VALUES.test(word)) isValue = true;
    // The stage copied a path. A variable is empty here and cannot be judged.
    else if (word !== "" && !/^[-./]|\/$|\.whl$/.test(word)) found.push(word);
  }
  return found;
}

function isPinned(tool: string, name: string): boolean {
  return (tool === "pip" ? /===?[^*]+$|@\s*\S+#sha256=/ : /.@\d+\.\d+\.\d+[\w.+-]*$/).test(name);
}
