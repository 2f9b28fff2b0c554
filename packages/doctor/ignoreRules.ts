import { posix } from "node:path";
import { globPrefix } from "../../freshness/dockerfile/glob";

/**
 * Parses a .dockerignore as Docker does: the last pattern that matches a path or one of its parent folders decides. The
 * run time is proportional to the text and the path for any pattern.
 */
export function ignoreRules(text: string): { ignores(path: string): boolean } {
  const rules = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => !line.startsWith("#") && line.trim() !== "")
    .map((line) => {
      const written = line.trim();
      const isException = written.startsWith("!");
      const pattern = posix.normalize(isException ? written.slice(1).trim() : written).replace(/^\/+/, "");
      return { isException, matches: globPrefix(pattern), isAll: pattern === "." };
    })
    .filter(({ isAll }) => !isAll);
  return {
    ignores(path) {
      const segments = path.split("/").filter((segment) => segment !== "");
      const last = rules.findLast(({ matches }) => matches(segments) > 0);
      return last !== undefined && !last.isException;
    },
  };
}
