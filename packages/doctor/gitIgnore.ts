import { globPrefix } from "../../freshness/dockerfile/glob";

/** The patterns of one .gitignore. */
export interface Patterns {
  /** Its folder, relative to the repository. */
  readonly folder: string;
  readonly rules: readonly {
    readonly isException: boolean;
    readonly isFolder: boolean;
    readonly matches: (path: readonly string[]) => number;
  }[];
}

/** Parses a .gitignore. The time to match a path grows with the two lengths, whatever a pattern contains. */
export function patternsOf(folder: string, text: string): Patterns {
  const rules = text.split(/\r?\n/).flatMap((line) => {
    // A space at the end counts only after a backslash.
    const written = line.replace(/(?<!\\)[ \t]+$/, "");
    if (written === "" || written.startsWith("#")) return [];
    const isException = written.startsWith("!");
    const pattern = (isException ? written.slice(1) : written).replaceAll("[!", "[^");
    const isFolder = pattern.endsWith("/");
    const bare = pattern.replace(/\/+$/, "");
    if (bare === "") return [];
    return [{ isException, isFolder, matches: matcher(bare) }];
  });
  return { folder, rules };
}

/** Plain names and `*.end`, which most patterns are, need no pattern. */
function matcher(bare: string): (path: readonly string[]) => number {
  if (bare.includes("/")) return globPrefix(bare);
  if (!/[*?[\\]/.test(bare)) return (path) => (path.at(-1) === bare ? path.length : -1);
  const end = /^\*([^*?[\\]+)$/.exec(bare)?.[1];
  if (end !== undefined) return (path) => (path.at(-1)?.endsWith(end) ? path.length : -1);
  return globPrefix(`**/${bare}`);
}

/**
 * Whether the last pattern that matches a path ignores it; patterns of an inner folder take precedence.
 * @param patterns from the outermost folder to the innermost one
 */
export function ignoredBy(patterns: readonly Patterns[], path: string, isFolder: boolean): boolean {
  const segments = path.split("/");
  for (const { folder, rules } of [...patterns].reverse()) {
    if (rules.length === 0) continue;
    const own = folder === "" ? segments : segments.slice(folder.split("/").length);
    const last = rules.findLast((rule) => (isFolder || !rule.isFolder) && rule.matches(own) === own.length);
    if (last) return !last.isException;
  }
  return false;
}
