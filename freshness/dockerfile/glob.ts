/** One part of a segment's pattern. `many` is `*`, `any` is `?`. */
type Part = "any" | "many" | { readonly letter: string } | { readonly set: (char: string) => boolean };

/** Parses a segment of a pattern as Go's filepath.Match does. */
function partsOf(segment: string): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < segment.length; at++) {
    const char = segment.charAt(at);
    if (char === "*") {
      if (parts.at(-1) !== "many") parts.push("many");
    } else if (char === "?") parts.push("any");
    else if (char === "[") {
      const end = segment.indexOf("]", at + 2);
      if (end < 0) return [{ set: () => false }];
      parts.push({ set: setOf(segment.slice(at + 1, end)) });
      at = end;
    } else if (char === "\\" && at + 1 < segment.length) parts.push({ letter: segment.charAt(++at) });
    else parts.push({ letter: char });
  }
  return parts;
}

function setOf(text: string): (char: string) => boolean {
  const isNegated = text.startsWith("^");
  const body = isNegated ? text.slice(1) : text;
  const ranges: [string, string][] = [];
  for (let at = 0; at < body.length; at++) {
    if (body[at + 1] === "-" && body[at + 2] !== undefined) {
      ranges.push([body.charAt(at), body.charAt(at + 2)]);
      at += 2;
    } else ranges.push([body.charAt(at), body.charAt(at)]);
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== isNegated;
}

/** Whether a name matches. It backtracks only to the last `*`, so a long pattern takes no longer than its length. */
function matchesParts(parts: readonly Part[], name: string): boolean {
  let part = 0;
  let at = 0;
  let star = -1;
  let from = 0;
  while (at < name.length) {
    const one = parts[part];
    if (one === "many") {
      star = part++;
      from = at;
    } else if (one !== undefined && isOne(one, name.charAt(at))) {
      part++;
      at++;
    } else if (star >= 0) {
      part = star + 1;
      at = ++from;
    } else return false;
  }
  while (parts[part] === "many") part++;
  return part === parts.length;
}

function isOne(part: Exclude<Part, "many">, char: string): boolean {
  if (part === "any") return true;
  return "set" in part ? part.set(char) : part.letter === char;
}

/**
 * Number of leading path segments that a pattern matches, the smallest possible: `src` matches one of `src/a.ts`. -1
 * means no match. `**` matches any number of segments. The time grows with the two lengths, whatever the pattern
 * contains.
 */
export function globPrefix(pattern: string): (path: readonly string[]) => number {
  const known = compiled.get(pattern) ?? compile(pattern);
  if (compiled.size >= KEPT) compiled.clear();
  compiled.set(pattern, known);
  return known;
}

/** Caches patterns, because each is matched against every file of a context. */
const compiled = new Map<string, (path: readonly string[]) => number>();
const KEPT = 1000;

function compile(pattern: string): (path: readonly string[]) => number {
  const segments = pattern
    .split("/")
    .filter((segment, at, all) => segment !== "" && !(segment === "**" && all[at - 1] === "**"))
    .map((segment) => (segment === "**" ? ("**" as const) : partsOf(segment)));
  return (path) => {
    // Positions in the pattern that the segments so far can reach.
    let reached = closed(new Set([0]), segments);
    if (segments.length === 0) return 0;
    for (const [at, name] of path.entries()) {
      const next = new Set<number>();
      for (const position of reached) {
        const segment = segments[position];
        if (segment === "**") {
          next.add(position);
          // At the end, `**` matches what is below a folder.
          if (position + 1 === segments.length) next.add(segments.length);
        } else if (segment !== undefined && matchesParts(segment, name)) next.add(position + 1);
      }
      reached = closed(next, segments);
      if (reached.has(segments.length)) return at + 1;
      if (reached.size === 0) return -1;
    }
    return -1;
  };
}

/** `**` may match nothing, except at the end of a pattern, where it matches what is below a folder. */
function closed(positions: Set<number>, segments: readonly (Part[] | "**")[]): Set<number> {
  for (const position of positions)
    if (segments[position] === "**" && position + 1 < segments.length) positions.add(position + 1);
  return positions;
}

/** `app/*.js` → `app`: the folders of a path before its first wildcard. */
export function beforeWildcard(path: string): string {
  const parts = path.split("/");
  const wild = parts.findIndex((part) => /[*?[\\]/.test(part));
  return wild < 0 ? path : parts.slice(0, wild).join("/");
}
