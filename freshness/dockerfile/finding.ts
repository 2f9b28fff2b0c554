/** The build argument that carries the commit into a build. */
export const COMMIT_ARG = "GIT_COMMIT_HASH";

/** One thing in a file that would let a build serve old code. */
export interface Finding {
  /** The file, or the configuration key, it was found in. */
  readonly path: string;
  /** Counted from 1; absent where it is not in a file. */
  readonly line?: number;
  /** What is wrong, and why it matters. */
  readonly why: string;
  readonly expected: string;
  readonly found: string;
  /** What to change: the exact lines where there are any. */
  readonly remedy: string;
}

/** `path:line: why`, as an editor understands it. */
function describeFinding(finding: Finding): string {
  const place = finding.line === undefined ? finding.path : `${finding.path}:${finding.line}`;
  return `${place}: ${finding.why}`;
}

/** All findings of a link as the parts of one broken verdict: the first in full, the others listed. */
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
