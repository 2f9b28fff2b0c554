import { type RuleName, ruleNamed } from "./rules";

/**
 * `error`: serves stale code in any case. `warning`: serves stale code under a condition that the finding names.
 * `note`: how the repository can prove that it is fresh.
 */
export type Severity = "error" | "warning" | "note";

/** The severities, most severe first. */
export const SEVERITIES: readonly Severity[] = ["error", "warning", "note"];

/** One thing in a repository that can serve stale code, as reported by a rule. */
export interface Finding {
  /** Stable, so that scripts can filter by it. */
  readonly rule: RuleName;
  readonly severity: Severity;
  /** Relative to the repository. */
  readonly path: string;
  /** Starts at 1. */
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

/** Sorted by path and line, without duplicates: two builds from one Dockerfile have the same findings. */
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

/** Whether a finding is at least as severe as a level. */
export function isAtLeast({ severity }: Pick<Finding, "severity">, level: Severity): boolean {
  return SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(level);
}
