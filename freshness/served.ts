import { type Break, broken, type Link, type Verdict } from "./chain";
import { NAMESPACE } from "./project";
import type { Answer } from "./served/answer";
import { redirectOf, shownAnswer, slashRemedy, UNPRINTABLE } from "./served/asking";

/** Header in which the edge names the container that a version response came from. */
export const UPSTREAM_HEADER = "x-freshness-upstream";

/** Maximum length of a commit, including the suffix for uncommitted changes. */
const LONGEST_COMMIT = 200;

/**
 * Reads the commit from `{"commit": "<sha>"}`; undefined for any other answer. A byte order mark, and white space around the commit
 * such as the end of the commit file's line, do not count: no message shows them.
 */
export function commitOf(answer: Pick<Answer, "body">): string | undefined {
  try {
    const { commit } = JSON.parse(answer.body.replace(/^\uFEFF/, "")) as { commit?: unknown };
    return typeof commit === "string" && commit.length <= LONGEST_COMMIT ? commit.trim() : undefined;
  } catch {
    return undefined;
  }
}

/** Header with which a cache reports that it answered; undefined without one. */
export function cachedBy(headers: Answer["headers"]): string | undefined {
  if (Number(headers.age) > 0) return `Age: ${headers.age}`;
  const hit = ["x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache", "x-varnish-cache"].find(
    (name) => /\bhit\b/i.test(headers[name] ?? ""),
  );
  if (hit) return `${hit}: ${headers[hit]}`;
  return /;\s*hit\b/i.test(headers["cache-status"] ?? "")
    ? `cache-status: ${headers["cache-status"]}`
    : undefined;
}

/** Expected answers of a version path. */
export interface VersionExpectation {
  /** `served`: requested at the public address. `container`: requested from the new container before the switch. */
  readonly link: Extract<Link, "served" | "container">;
  readonly service: string;
  readonly commit: string;
  /** `host:port` of the release's container, as the edge names it; absent if the request went directly to the container. */
  readonly upstream?: string;
  /** Remedy that replaces the default one. */
  readonly remedy?: string;
}

/** What answers have to be. */
export interface AnswerRule {
  readonly link: VersionExpectation["link"];
  readonly service: string;
  /** What a proven link has. */
  readonly expected: string;
  /** What is wrong with an answer, and what was found; undefined for a correct one. */
  readonly problem: (answer: Answer) => [what: string, found: string] | undefined;
  /** @param answers at least one */
  readonly evidence: (answers: readonly [Answer, ...Answer[]]) => string;
  /** @param wrong absent if no request was made */
  readonly remedy: (wrong?: Answer) => string;
}

/** Judges a service by answers: each has to be right, and there has to be one. */
export function judgeAnswers(
  { link, service, expected, problem, evidence, remedy }: AnswerRule,
  answers: readonly Answer[],
): Verdict | Break {
  for (const answer of answers) {
    const [what, found] = problem(answer) ?? [];
    if (what === undefined || found === undefined) continue;
    const place = answer.address === "" ? answer.url : `${answer.url} at ${answer.address}`;
    const wrong = `${place} ${what}`;
    return broken({ link, service, evidence: place, expected, wrong, found, remedy: remedy(answer) });
  }
  const [first, ...others] = answers;
  if (first === undefined)
    return broken({
      link,
      service,
      evidence: "",
      expected,
      wrong: "no request was made",
      found: "no answer",
      remedy: remedy(),
    });
  return {
    link,
    service,
    status: "proven",
    expected,
    found: expected,
    evidence: evidence([first, ...others]),
  };
}

/** Remedy for answers that do not come from the deployed container. */
export const REMEDY =
  "See what answers at that address (a proxy, a cache or another program before the edge, a node that is cut off), then deploy again.";

/**
 * Judges a service by the answers of its version path. Each must name the commit, come from the release's container,
 * and come from no cache.
 */
export function versionVerdict(expectation: VersionExpectation, answers: readonly Answer[]): Verdict | Break {
  const { link, service, commit, upstream } = expectation;
  const remedy =
    link === "served" ? REMEDY : "Make the version path answer from the commit file, then deploy again.";
  return judgeAnswers(
    {
      link,
      service,
      expected: upstream === undefined ? `commit ${commit}` : `commit ${commit} from ${upstream}`,
      problem: (answer) => problem(expectation, answer),
      evidence: (all) => {
        const addresses = [...new Set(all.map(({ address }) => address))].filter((address) => address !== "");
        const at = addresses.length > 0 ? ` at ${addresses.join(", ")}` : "";
        return `${all[0].url}${at}, ${askedTimes(all.length)}`;
      },
      remedy: (wrong) => expectation.remedy ?? (wrong && redirectRemedy(service, wrong)) ?? remedy,
    },
    answers,
  );
}

/** How often was asked. */
export function askedTimes(times: number): string {
  return times === 1 ? "asked once" : `asked ${times} times`;
}

/** Remedy for a version path that redirects. Usually only a trailing slash differs. */
function redirectRemedy(service: string, answer: Answer): string | undefined {
  const to = redirectOf(answer);
  if (to === undefined || !URL.canParse(to, answer.url)) return undefined;
  const { pathname, protocol } = new URL(to, answer.url);
  const key = `${NAMESPACE}:services.${service}.version`;
  const isOfEdge = new URL(answer.url).pathname.startsWith("/.freshness/");
  const from = isOfEdge ? undefined : new URL(answer.url).pathname;
  const slash = from === undefined ? undefined : slashRemedy(answer.url, to, key);
  if (slash !== undefined) return slash;
  if (from === pathname && protocol === "https:")
    return `The app redirects plain HTTP to HTTPS. Set ${NAMESPACE}:publicUrl to the https address that users open, or exclude the version path from the redirect.`;
  return `Set ${key} to a path that answers without a redirect, then deploy again.`;
}

/** The problem with an answer, and what was found; undefined for a correct answer. */
function problem({ commit, upstream }: VersionExpectation, answer: Answer): [string, string] | undefined {
  if (answer.status === 0) return ["does not answer", `no answer (${answer.error})`];
  const found = commitOf(answer);
  if (answer.status !== 200 || found === undefined)
    return [
      redirectOf(answer) === undefined ? "does not answer with a commit" : "answers with a redirect",
      shownAnswer(answer),
    ];
  // Hexadecimal digits mean the same in either case.
  if (found.toLowerCase() !== commit)
    return ["does not answer with the commit", `commit ${found.replace(UNPRINTABLE, " ").trim()}`];
  const cache = cachedBy(answer.headers);
  if (cache !== undefined) return ["is answered by a cache", cache];
  if (upstream === undefined || answer.headers[UPSTREAM_HEADER] === upstream) return undefined;
  return [
    "is not answered by this deploy's container",
    answer.headers[UPSTREAM_HEADER] ?? "an answer that did not come through the edge",
  ];
}
