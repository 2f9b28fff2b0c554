import { posix } from "node:path";
import { type Break, broken, type Verdict } from "../chain";
import type { Files, ImageFile } from "../files";

/** What an instruction left in its layer, in Dockerfile order. */
export interface LayerStep {
  /** The instruction as errors show it: `RUN make (Dockerfile:9)`. */
  readonly where: string;
  /** Files that a compared COPY placed; absent for an instruction whose files are not the commit's. */
  readonly placed?: Files;
  /** Files in the layer of any other instruction. */
  readonly wrote?: Files;
}

/** A source file that an instruction after its COPY changed. */
export interface ChangedFile {
  readonly where: string;
  /** Relative to the root of the image. */
  readonly path: string;
  /** Git blob ID of the current content. */
  readonly hash: string;
}

/** A changed file, and what git knows about its new content. */
export interface JudgedChange extends ChangedFile {
  /** Whether the path had this content in another revision. */
  readonly isEarlier: boolean;
}

const NAMED = 10;
/** Maximum number of links to follow, which ends a circle. */
const DEEPEST = 16;

/**
 * Source files whose content at the end of a stage differs from what a COPY placed. A later RUN wrote them, a COPY from
 * elsewhere wrote them, or a link to another file replaced them.
 */
export function changedSources(steps: readonly LayerStep[]): ChangedFile[] {
  const sources = new Map<string, ImageFile>();
  const now = new Map<string, ImageFile>();
  const writers = new Map<string, string>();
  for (const { where, placed, wrote } of steps) {
    for (const [path, file] of placed ?? []) {
      sources.set(path, file);
      now.set(path, file);
      writers.delete(path);
    }
    if (sources.size === 0) continue;
    for (const [path, file] of wrote ?? []) {
      now.set(path, file);
      writers.set(path, where);
    }
  }
  if (writers.size === 0) return [];
  return [...sources].flatMap(([path, source]) => {
    const found = resolved(path, now, source.kind === "file");
    if (!found || found.file.hash === source.hash) return [];
    const where = found.through.map((each) => writers.get(each)).find((each) => each !== undefined);
    return where === undefined ? [] : [{ where, path, hash: found.file.hash }];
  });
}

/**
 * Resolves a path through the links of its folders.
 * @param follows whether a link at the path itself is followed too
 */
function resolved(
  path: string,
  files: Files,
  follows: boolean,
): { file: ImageFile; through: string[] } | undefined {
  const through: string[] = [];
  let at = path;
  for (let depth = 0; depth < DEEPEST; depth++) {
    const link = folders(at).find((folder) => files.get(folder)?.kind === "link");
    const own = files.get(at);
    const place = link ?? (follows && own?.kind === "link" ? at : undefined);
    if (place === undefined) return own && { file: own, through: [at, ...through.reverse()] };
    through.push(place);
    const target = files.get(place)?.target;
    if (target === undefined) return undefined;
    const leads = posix.resolve("/", posix.dirname(place), target).slice(1);
    at = posix.join(leads, at.slice(place.length));
  }
  return undefined;
}

/** Parent folders of a path, topmost first. */
function folders(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

/**
 * Files that tools write at each build and that no program runs. Earlier content in them is not old code. `next build`
 * switches next-env.d.ts and tsconfig.json between two forms.
 */
export function isWrittenByTools(path: string): boolean {
  return /(\.d\.[cm]?ts|(^|\/)[jt]sconfig(\.[\w-]+)?\.json)$/.test(path);
}

/**
 * Judges changes to the sources after their COPY.
 * @param whole whether the checkout has all earlier commits
 * @returns undefined if nothing was changed
 */
export function changesVerdict(
  service: string,
  changes: readonly JudgedChange[],
  whole: boolean,
): Verdict | Break | undefined {
  if (changes.length === 0) return undefined;
  const earlier = changes.filter(({ isEarlier }) => isEarlier);
  const [first] = earlier;
  if (first)
    return broken({
      link: "bytes",
      service,
      wrong: `${first.where} replaced the commit's file with an earlier revision`,
      expected: `/${first.path} as the commit has it`,
      found: `the bytes of another revision in ${named(earlier)}`,
      evidence: `the layer of ${first.where}`,
      remedy:
        "Remove the command that restores it from that line. If those bytes are intended, commit them at that path, or COPY the file that has them there.",
    });
  const by = new Map<string, JudgedChange[]>();
  for (const each of changes) by.set(each.where, [...(by.get(each.where) ?? []), each]);
  const said = [...by].map(([where, each]) => `${where} changed ${named(each)}`).join("; ");
  return {
    link: "bytes",
    service,
    status: whole ? "proven" : "not checked",
    expected: "no earlier revision of a file among those that were changed after their COPY",
    found: whole ? said : `${said}; the checkout lacks earlier commits to compare with`,
    evidence: [...by.keys()].map((where) => `the layer of ${where}`).join(", "),
  };
}

function named(changes: readonly ChangedFile[]): string {
  const paths = changes.slice(0, NAMED).map(({ path }) => `/${path}`);
  const files = changes.length === 1 ? "1 file" : `${changes.length} files`;
  return `${files}: ${paths.join(", ")}${changes.length > NAMED ? ", …" : ""}`;
}
