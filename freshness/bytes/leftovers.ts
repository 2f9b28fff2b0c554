import { posix } from "node:path";
import { type Break, broken, type Verdict } from "../chain";
import { beforeWildcard } from "../dockerfile/glob";
import { isManifest } from "../dockerfile/manifests";
import { type CopyStep, chainOf, type Stage, stageAt } from "../dockerfile/stages";
import type { Files } from "../files";

/** Files of a stage's base image in a folder that a COPY fills. */
export interface Leftovers {
  /** The instruction as errors show it: `COPY . . (Dockerfile:7, stage builder)`. */
  readonly where: string;
  /** Relative to the root of the image. */
  readonly folder: string;
  /** Files that an earlier commit had there and this commit does not have. */
  readonly earlier: readonly string[];
  /** Number of other files. */
  readonly others: number;
}

/** A version of a file: its path relative to the build context, and the git blob ID of its content. */
export interface FileVersion {
  readonly path: string;
  readonly hash: string;
}

const NAMED = 10;
/** System folders. An app has its own folder below them, such as /usr/src/app or /var/www/html. */
const SYSTEM = /^(bin|boot|dev|etc|home|lib(32|64|x32)?|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)$/;

/**
 * The folder that a copy fills, relative to the root of the image.
 * @param placed files that the copy places
 * @returns undefined for system folders, which contain no app before a COPY
 */
export function filledFolder(copy: CopyStep, placed: Files): string | undefined {
  const folder = placed.has(copy.target) ? posix.dirname(copy.target) : copy.target;
  const [top = "", ...below] = folder.split("/").filter((part) => part !== "" && part !== ".");
  if (top === "") return undefined;
  const isOfSystem = SYSTEM.test(top) && below.length < (/^(usr|var)$/.test(top) ? 2 : 1);
  return isOfSystem || /(^|\/)s?bin$/.test(folder) ? undefined : folder;
}

/**
 * Paths in the build context that a file of a stage's image could come from: below the sources of copies to its folder,
 * also through other stages. Dependency manifests have no origin, because an image with dependencies contains their
 * manifests.
 */
export function originsOf(stages: readonly Stage[], stage: Stage, path: string): string[] {
  const copies = chainOf(stages, stage).flatMap(({ steps }) => steps.flatMap(({ copy }) => copy ?? []));
  const found = copies.flatMap(({ from, sources, target }) => {
    const below = from === "elsewhere" ? undefined : pathBelow(target, path);
    if (below === undefined) return [];
    const places = sources.flatMap((source) => {
      return [posix.join(beforeWildcard(source), below), posix.join(posix.dirname(source), below)];
    });
    return typeof from === "number"
      ? places.flatMap((place) => originsOf(stages, stageAt(stages, from), place))
      : places;
  });
  return [...new Set(found)].filter((origin) => !isManifest(origin, {}));
}

/** Path below a folder: `old/a.py` for `app/old/a.py` below `app`. For a target that is a file, its folder counts too. */
function pathBelow(target: string, path: string): string | undefined {
  for (const folder of [target, /\.[^/]+$/.test(target) ? posix.dirname(target) : target]) {
    const prefix = folder === "" || folder === "." ? "" : `${folder}/`;
    if (path.startsWith(prefix)) return path.slice(prefix.length);
  }
  return undefined;
}

/**
 * Judges the files that base images leave in the folders of the sources.
 * @param whole whether the checkout has all earlier commits
 * @returns undefined if they leave none
 */
export function leftoversVerdict(
  service: string,
  leftovers: readonly Leftovers[],
  whole: boolean,
): Verdict | Break | undefined {
  const stale = leftovers.find(({ earlier }) => earlier.length > 0);
  const common = { link: "bytes", service } as const;
  if (stale) {
    const { where, folder, earlier } = stale;
    const named = earlier.slice(0, NAMED).map((path) => `/${path}`);
    return broken({
      ...common,
      wrong: `the image that the stage of ${where} begins with contains files of an earlier commit`,
      expected: `none below /${folder}`,
      found: `${earlier.length}: ${named.join(", ")}${earlier.length > NAMED ? ", …" : ""}`,
      evidence: `the layers below ${where}`,
      remedy: `Use a base image that does not contain the app, or empty the folder before the COPY (RUN rm -rf /${folder}), and deploy again.`,
    });
  }
  const others = leftovers.filter((each) => each.others > 0);
  if (others.length === 0) return undefined;
  const total = others.reduce((sum, each) => sum + each.others, 0);
  const files = total === 1 ? "1 file" : `${total} files`;
  return {
    ...common,
    status: whole ? "proven" : "not checked",
    expected: "no file of an earlier commit from a base image",
    found: whole
      ? `none among its ${files}`
      : `${files}, but the checkout is shallow and lacks earlier commits to compare with`,
    evidence: others.map(({ where, folder }) => `/${folder} of ${where}`).join(", "),
  };
}
