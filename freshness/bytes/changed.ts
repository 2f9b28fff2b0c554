import { posix } from "node:path";
import { type Break, broken, type Verdict } from "../chain";
import type { Files, ImageFile } from "../files";

/** What an instruction left in its layer, in the order of the Dockerfile. */
export interface LayerStep {
  /** The instruction as an error names it: `RUN make (Dockerfile:9)`. */
  readonly where: string;
  /** The files that a compared COPY placed; absent for an instruction whose files are not the commit's. */
  readonly placed?: Files;
  /** What the layer of any other instruction holds. */
  readonly wrote?: Files;
}

/** A source file that an instruction after its COPY changed. */
export interface ChangedFile {
  readonly where: string;
  /** Relative to the root of the image. */
  readonly path: string;
  /** The git blob's id of what is there now. */
  readonly hash: string;
}

/** One of them, and what git knows of its new content. */
export interface JudgedChange extends ChangedFile {
  /** It is what that path held in another revision. */
  readonly isEarlier: boolean;
}

const NAMED = 10;
/** Links that lead to links; a circle ends here. */
const DEEPEST = 16;

/**
 * The files of the sources that hold other bytes at the end of a stage than those that a COPY placed: written by a later RUN, by a
 * COPY from somewhere else, or replaced by a link to another file.
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
 * What a path leads to, links of its folders followed.
 *
 * @param follows whether a link in its own place is followed too
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

/** The folders above a path, the uppermost first. */
function folders(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

/**
 * Files that tools write at each build and that no program runs: their content of last week is no old code. `next build` turns
 * next-env.d.ts and tsconfig.json between two forms.
 */
export function isWrittenByTools(path: string): boolean {
  return /(\.d\.[cm]?ts|(^|\/)[jt]sconfig(\.[\w-]+)?\.json)$/.test(path);
}

/**
 * Judges what became of the sources after they were copied.
 *
 * @param whole whether all earlier commits are here to compare with
 * @returns undefined where nothing was changed
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
