import { type RuleName, ruleNamed } from "./rules";

/**
 * `error`: serves stale code as it stands, whatever else the repository does. `warning`: serves stale code under a condition
 * that the finding names. `note`: how the repository would prove that it is fresh.
 */
export type Severity = "error" | "warning" | "note";

/** The severities, the gravest first. */
export const SEVERITIES: readonly Severity[] = ["error", "warning", "note"];

/** One thing in a repository that can serve stale code, as a rule says it. */
export interface Finding {
  /** Stable: what a script may filter by. */
  readonly rule: RuleName;
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

/** A finding with the code of its rule. */
export interface Diagnosis extends Finding {
  /** `FRESH001`: stable, like the rule's name. */
  readonly code: string;
}

/** Sorted by place, each once: two builds from one Dockerfile find the same. */
export function inOrder(findings: readonly Finding[]): Diagnosis[] {
  const each = new Map<string, Finding>();
  for (const one of findings) {
    const key = [one.path, one.line, one.rule, one.found].join("\0");
    const before = each.get(key);
    if (!before || SEVERITIES.indexOf(one.severity) < SEVERITIES.indexOf(before.severity)) each.set(key, one);
  }
  return [...each.values()]
    .map((one): Diagnosis => ({ code: ruleNamed(one.rule).code, ...one }))
    .sort(
      (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line) || (a.rule < b.rule ? -1 : 1),
    );
}

/** Whether a finding is at least as grave as a level. */
export function isAtLeast({ severity }: Pick<Finding, "severity">, level: Severity): boolean {
  return SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(level);
}
