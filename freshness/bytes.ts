import { posix } from "node:path";
import { type Break, broken, type Verdict } from "./chain";
import type { CopyStep } from "./dockerfile/stages";
import type { Files, ImageFile } from "./files";
import { REBUILD } from "./image";

/** Expected and actual files of the layer of one COPY or ADD. */
export interface ComparedCopy {
  /** The instruction as errors show it: `COPY . . (Dockerfile:7, stage builder)`. */
  readonly where: string;
  /** `context` compares with the commit. Otherwise, compares with the files of the named stage. */
  readonly against: "context" | { readonly stage: string };
  readonly expected: Files;
  readonly found: Files;
  /** Whether modes are compared. */
  readonly modes: boolean;
}

/** Why an instruction or the whole image cannot be compared. */
export interface Refusal {
  readonly where: string;
  readonly why: string;
  readonly remedy: string;
}

/** Maximum number of files in an error. */
const NAMED = 10;

/**
 * Maps the files of a copy to their paths. The content of a folder goes into the target. A file goes into the target or
 * replaces it.
 * @param files all files of the copy's origin
 * @param found files of the layer; they show whether a target without a trailing slash was already a folder
 */
export function placeFiles(copy: CopyStep, files: Files, found: Files): Map<string, ImageFile> {
  const placed = new Map<string, ImageFile>();
  for (const source of copy.sources.flatMap((each) => matching(each, files))) {
    const path = followed(source, files);
    const file = files.get(path);
    if (file) {
      const inside = posix.join(copy.target, posix.basename(source));
      const isInside = copy.intoFolder || (found.has(inside) && !found.has(copy.target));
      placed.set(isInside ? inside : copy.target, file);
      continue;
    }
    const prefix = path === "" ? "" : `${path}/`;
    for (const [name, each] of files)
      if (name.startsWith(prefix)) placed.set(posix.join(copy.target, name.slice(prefix.length)), each);
  }
  return placed;
}

/** Paths of the files if the target leads through a link of the image, such as /bin to /usr/bin. */
export function throughLinks(copy: CopyStep, expected: Files, found: Files): Files {
  const [first] = expected.keys();
  if (first === undefined || copy.target === "" || [...expected.keys()].some((path) => found.has(path)))
    return expected;
  const rest = first.slice(copy.target.length) || `/${posix.basename(first)}`;
  const target = [...found.keys()].find((path) => path.endsWith(rest))?.slice(0, -rest.length);
  if (target === undefined) return expected;
  const above = first === copy.target ? posix.dirname(copy.target) : copy.target;
  return new Map([...expected].map(([path, file]) => [`${target}${path.slice(above.length)}`, file]));
}

/** Judges an image by the layers of its copies, each as it was before a later instruction changed a file. */
export function bytesVerdict(
  service: string,
  copies: readonly ComparedCopy[],
  refusals: readonly Refusal[],
): Verdict | Break {
  const ofCommit = copies.filter((copy) => copy.against === "context");
  const total = ofCommit.reduce((sum, { expected }) => sum + required(expected), 0);
  const expected = `${count(total)} of the commit`;
  const evidence = `the layers of ${ofCommit.map(({ where }) => where).join(", ") || "no COPY"}`;
  const broke = (details: Pick<Break, "wrong" | "expected" | "found" | "evidence" | "remedy">) =>
    broken({ link: "bytes", service, ...details });

  const refusal = refusals[0];
  if (refusal)
    return broke({
      wrong: `${refusal.where}: ${refusal.why}`,
      expected: "files that can be compared with the commit",
      found: "no way to compare them",
      evidence: refusal.where,
      remedy: refusal.remedy,
    });
  if (total === 0)
    return broke({
      wrong: "no file that a COPY put into the image could be compared",
      expected: "files of the commit",
      found: "nothing to compare",
      evidence,
      remedy: "COPY the sources from the build context in a stage that the image is made from.",
    });
  for (const copy of copies) {
    const difference = compare(copy);
    if (!difference) continue;
    const isCommit = copy.against === "context";
    const other = copy.against === "context" ? "the commit" : `stage ${copy.against.stage}`;
    return broke({
      wrong: isCommit
        ? `${copy.where} put files into the image that differ from the commit`
        : `${copy.where} was not made from the stage that was compared with the commit`,
      expected: `${count(required(copy.expected))} of ${other}`,
      found: difference.replace("OTHER", other),
      evidence: `the layer of ${copy.where}`,
      remedy: REBUILD,
    });
  }
  return { link: "bytes", service, status: "proven", expected, found: expected, evidence };
}

/**
 * Whether a copy was made from another build of the compared stage. If the build cache is emptied between the two
 * builds, the image's build runs the stage again.
 */
export function isOfAnotherStage(copy: ComparedCopy): boolean {
  return copy.against !== "context" && compare(copy) !== undefined;
}

/** Returns `1 differs, 2 missing, 1 not in OTHER: a, b, c, d`; undefined if nothing differs. */
function compare({ expected, found, modes }: ComparedCopy): string | undefined {
  const differ = [...expected].flatMap(([path, want]) => {
    const have = found.get(path);
    const same =
      have?.kind === want.kind &&
      have.hash === want.hash &&
      (!modes || want.kind === "link" || have.executable === want.executable);
    return have && !same ? [path] : [];
  });
  const missing = [...expected].flatMap(([path, { optional }]) =>
    found.has(path) || optional ? [] : [path],
  );
  const strange = [...found.keys()].filter((path) => !expected.has(path));
  const all = [...differ, ...missing, ...strange];
  if (all.length === 0) return undefined;
  const counts = [
    differ.length > 0 && `${differ.length} ${differ.length === 1 ? "differs" : "differ"}`,
    missing.length > 0 && `${missing.length} missing`,
    strange.length > 0 && `${strange.length} not in OTHER`,
  ].filter((part) => part !== false);
  const named = all.slice(0, NAMED).map((path) => `/${path}`);
  return `${counts.join(", ")}: ${named.join(", ")}${all.length > NAMED ? ", …" : ""}`;
}

/** A source path, or the files and folders that its wildcards match. Each `*` matches one level. */
function matching(source: string, files: Files): string[] {
  if (!/[*?[\\]/.test(source)) return [source];
  const pattern = globPattern(source);
  const paths = new Set<string>();
  for (const path of files.keys()) {
    const parts = path.split("/");
    for (let depth = 1; depth <= parts.length; depth++) paths.add(parts.slice(0, depth).join("/"));
  }
  return [...paths].filter((path) => pattern.test(path));
}

/** Converts a pattern of Go's filepath.Match to a regular expression. */
function globPattern(glob: string): RegExp {
  const parts = glob.match(/\\.|\[[^\]]+\]|[\s\S]/g) ?? [];
  const translated = parts.map((part) => {
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.length > 2 && part.startsWith("[")) return part;
    return (part.length === 2 ? part.slice(1) : part).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${translated.join("")}$`);
}

/** Resolves a source that is a link to its target. Links below a folder stay links. */
function followed(source: string, files: Files, depth = 0): string {
  const file = files.get(source);
  if (file?.kind !== "link" || file.target === undefined || depth > 8) return source;
  return followed(posix.resolve("/", posix.dirname(source), file.target).slice(1), files, depth + 1);
}

function required(files: Files): number {
  return [...files.values()].filter(({ optional }) => !optional).length;
}

function count(files: number): string {
  return files === 1 ? "1 file" : `${files} files`;
}
