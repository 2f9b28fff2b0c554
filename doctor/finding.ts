/** `error`: stale code will be served when it comes to it; `warning`: it can be, or a fix does less than it seems. */
type Severity = "error" | "warning";

/** One thing in a repository that can serve stale code. */
export interface Diagnosis {
  /** Stable: what a script may filter by. */
  readonly rule: string;
  readonly severity: Severity;
  /** Relative to the repository. */
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  /** Why it serves stale code. */
  readonly why: string;
  readonly found: string;
  readonly fix: string;
}

/** Sorted by place, each once: two builds from one Dockerfile find the same. */
export function inOrder(findings: readonly Diagnosis[]): Diagnosis[] {
  const each = new Map(findings.map((one) => [[one.path, one.line, one.rule, one.found].join("\0"), one]));
  return [...each.values()].sort(
    (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line) || (a.rule < b.rule ? -1 : 1),
  );
}
