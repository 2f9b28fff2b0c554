/** The rules of a .dockerignore file: patterns of Go's filepath.Match plus `**`. Later rules win, and `!` negates. */

interface Rule {
  negated: boolean;
  matches: RegExp;
}

export interface Ignore {
  /** Whether the path (relative to the context, with slashes) is excluded. */
  excludes(path: string): boolean;
  /** Whether a path below an excluded folder may be included again. */
  hasExceptions: boolean;
}

/** Reads the text of a .dockerignore file. */
export function parseDockerignore(text: string): Ignore {
  const rules = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .flatMap(ruleOf);
  return {
    hasExceptions: rules.some(({ negated }) => negated),
    excludes(path) {
      const parts = path.split("/");
      // A rule for a folder applies to everything below it.
      const ancestry = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
      let excluded = false;
      for (const { negated, matches } of rules) {
        if (negated === excluded && ancestry.some((step) => matches.test(step))) excluded = !negated;
      }
      return excluded;
    },
  };
}

function ruleOf(line: string): Rule[] {
  const negated = line.startsWith("!");
  const pattern = clean((negated ? line.slice(1) : line).trim());
  return pattern === "" || pattern === "."
    ? []
    : [{ negated, matches: new RegExp(`^${translate(pattern)}$`) }];
}

/** The path without `.`, `..`, and doubled or leading slashes. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function translate(pattern: string): string {
  let out = "";
  for (let index = 0; index < pattern.length; index++) {
    const char = pattern[index] ?? "";
    if (char === "*" && pattern[index + 1] === "*") {
      index++;
      if (pattern[index + 1] === "/") {
        index++;
        out += "(?:.*/)?";
      } else {
        out += ".*";
      }
    } else if (char === "*") {
      out += "[^/]*";
    } else if (char === "?") {
      out += "[^/]";
    } else if (char === "\\" && index + 1 < pattern.length) {
      index++;
      out += literal(pattern[index] ?? "");
    } else if (char === "[" && pattern.indexOf("]", index + 2) > 0) {
      const end = pattern.indexOf("]", index + 2);
      out += `[${pattern.slice(index + 1, end).replaceAll("\\", "\\\\")}]`;
      index = end;
    } else {
      out += literal(char);
    }
  }
  return out;
}

function literal(char: string): string {
  return char.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
