/** The build argument that carries the commit into a build. */
export const COMMIT_ARG = "GIT_COMMIT_HASH";

/** A problem in a file that would let a build serve old code. */
export interface Finding {
  /** The file or the configuration key with the problem. */
  readonly path: string;
  /** Starts at 1; absent for a finding outside a file. */
  readonly line?: number;
  /** The problem, and why it matters. */
  readonly why: string;
  readonly expected: string;
  readonly found: string;
  /** What to change, with the exact lines if there are any. */
  readonly remedy: string;
}

/** Formats `path:line: why`, which editors recognise. */
function describeFinding(finding: Finding): string {
  const place = finding.line === undefined ? finding.path : `${finding.path}:${finding.line}`;
  return `${place}: ${finding.why}`;
}

/**
 * Combines all findings of a link into the fields of one broken verdict. The first finding is complete; the others are
 * listed.
 */
export function summary(findings: readonly Finding[]): {
  wrong: string;
  expected: string;
  found: string;
  evidence: string;
  remedy: string;
} {
  const [first, ...others] = findings;
  if (!first) throw new Error("a summary needs a finding");
  const remedies = [...new Set(findings.map((finding) => finding.remedy))];
  return {
    wrong: [describeFinding(first), ...others.map((finding) => `also ${describeFinding(finding)}`)].join(
      "; ",
    ),
    expected: first.expected,
    found: first.found,
    evidence: [...new Set(findings.map((finding) => finding.path))].join(", "),
    remedy: remedies.join("\n"),
  };
}
