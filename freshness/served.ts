import { type Break, broken, type Link, type Verdict } from "./chain";

/** What one request for a service's version brought back. */
export interface VersionAnswer {
  /** Where it was asked. */
  readonly url: string;
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly body: string;
  /** Why there was no answer; empty where there was one. */
  readonly error: string;
}

/** Reads the commit from `{"commit": "<sha>"}`; undefined where the answer is anything else. */
export function commitOf(answer: Pick<VersionAnswer, "body">): string | undefined {
  try {
    const { commit } = JSON.parse(answer.body) as { commit?: unknown };
    return typeof commit === "string" ? commit : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Judges a service by the answers of its version path: each of them has to name the commit.
 *
 * @param link `served` at the public address, `container` when the new container was asked before the switch
 */
export function versionVerdict(
  link: Extract<Link, "served" | "container">,
  service: string,
  commit: string,
  answers: readonly VersionAnswer[],
): Verdict | Break {
  const expected = `commit ${commit}`;
  const evidence = answers.at(0)?.url ?? "nothing was asked";
  const wrong = answers.find((answer) => answer.status !== 200 || commitOf(answer) !== commit);
  if (answers.length > 0 && !wrong)
    return {
      link,
      service,
      status: "proven",
      expected,
      found: expected,
      evidence: `${evidence}, ${answers.length} times`,
    };
  return broken({
    link,
    service,
    evidence: wrong?.url ?? evidence,
    expected,
    wrong: wrong ? `${wrong.url} does not answer with the commit` : "nothing was asked",
    found: wrong ? describe(wrong) : "no answer",
    remedy:
      link === "served"
        ? "The edge leads where it led before; see what answers at that address, then deploy again."
        : "Nothing was switched; make the version path answer from the commit file, then deploy again.",
  });
}

function describe(answer: VersionAnswer): string {
  if (answer.status === 0) return `no answer (${answer.error})`;
  const commit = commitOf(answer);
  if (answer.status === 200 && commit !== undefined) return `commit ${commit}`;
  const start = answer.body.trim().replace(/\s+/g, " ").slice(0, 80);
  return `status ${answer.status}${start ? `, "${start}"` : ""}`;
}
