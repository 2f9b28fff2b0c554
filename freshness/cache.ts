import { posix } from "node:path";
import { composeFindings } from "./cache/compose";
import { type Break, broken, type Verdict } from "./chain";
import { type Finding, summary } from "./dockerfile/finding";
import { type ParsedDockerfile, parseDockerfile, type Step } from "./dockerfile/parse";
import { replay } from "./dockerfile/replay";
import type { Executed } from "./dockerfile/state";
import { assignments } from "./dockerfile/words";
import { NAMESPACE } from "./project";

const INLINE_CACHE = "BUILDKIT_INLINE_CACHE";

/** Input of the cache rule for a service. */
export interface CacheInput {
  readonly service: string;
  /** Path of the Dockerfile in findings. */
  readonly path: string;
  readonly dockerfile: string;
  /** Build args besides GIT_COMMIT_HASH. */
  readonly args: Readonly<Record<string, string>>;
  /** Compose files beside the Dockerfile. Default: none. */
  readonly compose?: readonly { readonly path: string; readonly text: string }[];
  /** Stage to build. Default: the last one. */
  readonly target?: string;
}

/** Folders that contain build output wherever they are. */
const BUILT = new Set([
  ".next",
  ".nuxt",
  ".svelte-kit",
  ".turbo",
  ".angular",
  ".astro",
  ".parcel-cache",
  "__pycache__",
]);
/** Folders that contain build output if they are below the sources. */
const BUILT_AMONG_SOURCES = new Set(["dist", "build", "out", "target", ".output", ".vite", ".cache"]);

/** Finds everything that would give a build layers or files of an earlier one. */
export function cacheFindings(input: CacheInput): Finding[] {
  const file = parseDockerfile(input.dockerfile);
  const { args } = input;
  const target = input.target === undefined ? {} : { target: input.target };
  const executed =
    file.problems.length > 0
      ? []
      : replay({ dockerfile: file, ...target, args, commitFile: "/app/COMMIT", mend: false });
  return [
    ...argumentFindings(input),
    ...inlineFindings(input.path, file),
    ...executed.flatMap((one) => mountFindings(input.path, one)),
    ...(input.compose ?? []).flatMap(({ path, text }) => composeFindings(path, text)),
  ];
}

/** Judges the cache configuration of a service's builds. No cache may feed a layer made from source. */
export function cacheConfigVerdict(input: CacheInput): Verdict | Break {
  const { service } = input;
  const findings = cacheFindings(input);
  if (findings.length > 0) return broken({ link: "cache", service, ...summary(findings) });
  return {
    link: "cache",
    service,
    status: "proven",
    expected: "no cache feeds a layer made from source",
    found: "no inline cache, no cache_from, no cache mount on source or build output",
    evidence: [input.path, ...(input.compose ?? []).map(({ path }) => path)].join(", "),
  };
}

function argumentFindings({ service, args }: CacheInput): Finding[] {
  if (!Object.hasOwn(args, INLINE_CACHE)) return [];
  const key = `${NAMESPACE}:services.${service}.args.${INLINE_CACHE}`;
  return [
    {
      path: key,
      why: "an inline cache in the image lets the next build reuse old layers",
      expected: `no build arg ${INLINE_CACHE}`,
      found: `${INLINE_CACHE}=${args[INLINE_CACHE]}`,
      remedy: `Remove ${key}.`,
    },
  ];
}

function inlineFindings(path: string, file: ParsedDockerfile): Finding[] {
  const sets = (step: Step) => {
    const { keyword, text } = step.trigger ?? step;
    return (
      (keyword === "ARG" || keyword === "ENV") &&
      assignments(text, keyword, file.escapeChar).some(({ name }) => name === INLINE_CACHE)
    );
  };
  return [...file.globals, ...file.stages.flatMap(({ steps }) => steps)].filter(sets).map((step) => ({
    path,
    line: step.line,
    why: `${step.keyword} ${INLINE_CACHE}: an inline cache in the image lets the next build reuse old layers`,
    expected: `no ${INLINE_CACHE}`,
    found: `${step.keyword} ${step.text}`,
    remedy: `Remove ${INLINE_CACHE} from line ${step.line} of ${path}.`,
  }));
}

/** Finds cache mounts over source or build output. Cache mounts outlive a build. */
function mountFindings(path: string, { step, stage, mounts, workdir, carried, brings }: Executed): Finding[] {
  const { destinations } = stage;
  // WORKDIR is a source folder if the stage has sources.
  const folders = carried || brings !== undefined ? [...destinations, workdir] : destinations;
  return mounts
    .filter(({ type }) => type === "cache")
    .flatMap(({ target }) => {
      const why = reasonOf(target, folders, carried || brings !== undefined);
      if (why === undefined) return [];
      return [
        {
          path,
          line: step.line,
          why: `the cache mount at ${target} ${why}, and is kept between builds, so that files of an earlier commit get into this one`,
          expected: "cache mounts for package managers only, such as /root/.npm",
          found: `--mount=type=cache,target=${target}`,
          remedy: `Remove --mount=type=cache,target=${target} from line ${step.line} of ${path}.`,
        },
      ];
    });
}

function reasonOf(target: string, folders: readonly string[], carries: boolean): string | undefined {
  const covered = folders.find((folder) => isWithin(folder, target));
  if (covered !== undefined) return `covers the source in ${covered}`;
  const segments = target.split("/");
  const built = segments.find((segment) => BUILT.has(segment));
  if (built !== undefined) return `holds build output (${built})`;
  if (/(^|\/)node_modules\/\.(cache|vite)(\/|$)/.test(target))
    return "holds build output (node_modules/.cache)";
  for (const folder of folders.filter((candidate) => isWithin(target, candidate))) {
    const below = posix.relative(folder, target).split("/");
    const output = folder === "/" ? below.slice(0, 1) : below;
    const found = output.find((segment, at) =>
      // A package manager uses .cache/pip of a home folder. The build uses .cache itself.
      segment === ".cache" ? at === output.length - 1 : BUILT_AMONG_SOURCES.has(segment),
    );
    if (found !== undefined) return `holds build output (${found})`;
    if (carries && below.at(-1) === "node_modules") return "holds build output (node_modules/.cache)";
  }
  return undefined;
}

/** Whether a path is a folder or is below it. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}
