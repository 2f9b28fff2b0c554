import { posix } from "node:path";
import type { ImageFile, TreeEntry } from "./files";

/** The paths of a build context that a .dockerignore excludes. */
export interface IgnoreRules {
  ignores(path: string): boolean;
}

/** Rules by their text: a deploy asks those of each service three times for each of its files. */
const parsed = new Map<string, IgnoreRules>();
const MOST_PARSED = 64;

/** Parses the text of a .dockerignore. */
export function ignoreRules(text: string): IgnoreRules {
  const before = parsed.get(text);
  if (before) return before;
  const rules = parseRules(text);
  if (parsed.size >= MOST_PARSED) parsed.clear();
  parsed.set(text, rules);
  return rules;
}

function parseRules(text: string): IgnoreRules {
  const rules = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .flatMap(readRule);
  const known = new Map<string, boolean>();
  return {
    ignores(path) {
      const before = known.get(path);
      if (before !== undefined) return before;
      const places = [...path];
      const last = rules.findLast(({ plain, parts, fewest }) =>
        plain === undefined
          ? fewest <= places.length && matches(parts, places)
          : path === plain || path.startsWith(`${plain}/`),
      );
      const ignored = last !== undefined && !last.keeps;
      known.set(path, ignored);
      return ignored;
    },
  };
}

/**
 * A part of a pattern: a character, a set or a negated set, `?`, `*` (anything in one folder's name), `**` followed by
 * more (any number of folders), or `**` at the end (anything).
 */
type Part =
  | string
  | { readonly kind: "any" | "name" | "folders" | "all" }
  | { readonly kind: "set"; readonly isNegated: boolean; readonly ranges: readonly [number, number][] };

interface Rule {
  readonly keeps: boolean;
  readonly parts: readonly Part[];
  /** The pattern's text, if it has no wildcard. */
  readonly plain?: string;
  /** Minimum number of characters of a matching path. */
  readonly fewest: number;
}

/** Parses a line as Docker does: moby/patternmatcher. */
function readRule(line: string): Rule[] {
  if (line.startsWith("#")) return [];
  const trimmed = line.trim();
  const keeps = trimmed.startsWith("!");
  const given = (keeps ? trimmed.slice(1) : trimmed).trim();
  if (given === "") return [];
  const pattern = clean(clean(given).replace(/^\/(?=.)/, ""));
  const parts = readParts(pattern);
  const plain = parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
  return [{ keeps, parts, plain, fewest: parts.filter((part) => !mayBeNothing(part)).length }];
}

/** Same as Go's filepath.Clean. */
function clean(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, "");
}

function readParts(pattern: string): Part[] {
  const parts: Part[] = [];
  const characters = [...pattern];
  // Two equal wildcards in a row match the same as one.
  const add = (kind: "name" | "folders" | "all") => {
    const before = parts.at(-1);
    if (typeof before !== "object" || before.kind !== kind) parts.push({ kind });
  };
  let open = characters.length;
  let at = 0;
  for (let character = characters[0]; character !== undefined; character = characters[++at]) {
    if (character === "*" && characters[at + 1] === "*") {
      at += characters[at + 2] === "/" ? 2 : 1;
      add(at + 1 >= characters.length ? "all" : "folders");
    } else if (character === "*") add("name");
    else if (character === "?") parts.push({ kind: "any" });
    else if (character === "[") {
      // If one set is not closed, no later set is closed.
      const set = at < open ? readSet(characters, at) : undefined;
      if (set === undefined) open = Math.min(open, at);
      parts.push(set?.part ?? character);
      at = set?.end ?? at;
    } else if (character === "\\") parts.push(characters[++at] ?? character);
    else parts.push(character);
  }
  return parts;
}

/** Parses `[a-z]` or `[^a-z]`; undefined if it is not closed. */
function readSet(characters: readonly string[], from: number): { part: Part; end: number } | undefined {
  const isNegated = characters[from + 1] === "^";
  const ranges: [number, number][] = [];
  const start = from + (isNegated ? 2 : 1);
  for (let at = start; at < characters.length; at++) {
    if (characters[at] === "]" && at > start) return { part: { kind: "set", isNegated, ranges }, end: at };
    if (characters[at] === "\\") at++;
    const first = characters[at]?.codePointAt(0);
    if (first === undefined) return undefined;
    const end = characters[at + 1] === "-" ? characters[at + 2] : undefined;
    const last = end === "]" ? undefined : end?.codePointAt(0);
    if (last !== undefined) at += 2;
    ranges.push([first, last ?? first]);
  }
  return undefined;
}

/** State of a position in a pattern: not reached, reached, or reached inside a folder's name. */
const [NOT, WHOLE, INSIDE] = [0, 1, 2];

/**
 * Whether a pattern matches a path or a folder above it. It scans the path once and tracks all possible positions in
 * the pattern. No pattern takes longer than its length times the path's length, whatever its wildcards.
 */
function matches(parts: readonly Part[], path: readonly string[]): boolean {
  const end = parts.length;
  let here = new Uint8Array(end + 1);
  let next = new Uint8Array(end + 1);
  here[0] = WHOLE;
  for (let at = 0; at <= path.length; at++) {
    for (let place = 0; place < end; place++)
      if (here[place] === WHOLE && mayBeNothing(parts[place])) here[place + 1] = WHOLE;
    const character = path[at];
    if (here[end] === WHOLE && (character === undefined || character === "/")) return true;
    if (character === undefined) return false;
    next.fill(NOT);
    let goes = false;
    for (let place = 0; place < end; place++) {
      const part = parts[place];
      if (part === undefined || here[place] === NOT) continue;
      if (isOne(part, character)) next[place + 1] = WHOLE;
      if (goesOn(part, character) && next[place] !== WHOLE)
        next[place] = isFolders(part) && character !== "/" ? INSIDE : WHOLE;
      goes ||= next[place] !== NOT || next[place + 1] !== NOT;
    }
    if (!goes) return false;
    [here, next] = [next, here];
  }
  return false;
}

function mayBeNothing(part: Part | undefined): boolean {
  return typeof part === "object" && part.kind !== "any" && part.kind !== "set";
}

function isFolders(part: Part): boolean {
  return typeof part === "object" && part.kind === "folders";
}

/** Whether a part matches this one character. */
function isOne(part: Part, character: string): boolean {
  if (typeof part === "string") return part === character;
  if (part.kind === "any") return character !== "/";
  if (part.kind !== "set") return false;
  const point = character.codePointAt(0);
  if (point === undefined) return false;
  return part.ranges.some(([first, last]) => first <= point && point <= last) !== part.isNegated;
}

/** Whether a part of any length may continue with this character. */
function goesOn(part: Part, character: string): boolean {
  return mayBeNothing(part) && (typeof part === "string" || part.kind !== "name" || character !== "/");
}

/**
 * Files of a build context: those of the commit's tree that .dockerignore does not exclude.
 * @param links targets of the tree's symbolic links, by blob
 * @param dockerfile its path in the context; some clients send it and .dockerignore even if they are ignored
 */
export function contextFiles(
  tree: readonly TreeEntry[],
  links: ReadonlyMap<string, string>,
  ignored: string,
  dockerfile: string,
): Map<string, ImageFile> {
  const rules = ignoreRules(ignored);
  const files = new Map<string, ImageFile>();
  for (const { mode, hash, path } of tree) {
    // A submodule is not a file.
    if (mode === "160000") continue;
    const leftOut = rules.ignores(path);
    if (leftOut && path !== dockerfile && path !== ".dockerignore") continue;
    files.set(path, {
      kind: mode === "120000" ? "link" : "file",
      hash,
      executable: mode === "100755",
      ...(mode === "120000" ? { target: links.get(hash) } : {}),
      ...(leftOut ? { optional: true } : {}),
    });
  }
  return files;
}
