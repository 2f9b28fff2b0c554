/** A file that changes. Lines are only added. */
export interface Change {
  /** Relative to the repository. */
  readonly path: string;
  /** Absent for a new file. */
  readonly before?: string;
  readonly after: string;
}

/** The lines around a change that a diff shows. */
const CONTEXT = 3;

/** A text with lines added before a line, which counts from 1. */
export function withLines(text: string, before: number, added: readonly string[]): string {
  const lines = text.split("\n");
  lines.splice(before - 1, 0, ...added);
  return lines.join("\n");
}

/** A unified diff of changes that only add lines, as `git apply` reads it. */
export function diffOf(changes: readonly Change[]): string {
  return changes.map(fileDiff).join("");
}

function fileDiff({ path, before, after }: Change): string {
  const head = `--- ${before === undefined ? "/dev/null" : `a/${path}`}\n+++ b/${path}\n`;
  const old = before === undefined ? [] : linesOf(before);
  let next = 0;
  const rows = linesOf(after).map((line) => {
    const isKept = old[next] === line;
    if (isKept) next++;
    return { line, isKept, old: next };
  });
  const shown = rows.map((_, at) =>
    rows.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some((row) => !row.isKept),
  );
  let text = head;
  for (let at = 0; at < rows.length; at++) {
    if (!shown[at] || (at > 0 && shown[at - 1])) continue;
    const end = shown.indexOf(false, at);
    const hunk = rows.slice(at, end < 0 ? rows.length : end);
    const kept = hunk.filter(({ isKept }) => isKept).length;
    const [first] = hunk;
    const start = first === undefined ? 0 : first.old - (first.isKept ? 1 : 0);
    text += `@@ -${kept === 0 ? start : start + 1},${kept} +${at + 1},${hunk.length} @@\n`;
    text += hunk.map(({ line, isKept }) => `${isKept ? " " : "+"}${line}\n`).join("");
  }
  return text;
}

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
