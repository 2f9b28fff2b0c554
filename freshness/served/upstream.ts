import type { Break, Link, Verdict } from "../chain";
import {
  askedTimes,
  cachedBy,
  judgeAnswers,
  REMEDY,
  UPSTREAM_HEADER,
  type VersionExpectation,
  versionVerdict,
} from "../served";
import type { Answer } from "./answer";
import { shownAnswer } from "./asking";

/** The value of `version` for a service without a version path and a commit file. */
export const NO_VERSION = "none";

/** Whether a service answers with its commit; otherwise the container that answers is what is proven. */
export function hasVersion({ version }: { readonly version: string }): boolean {
  return version !== NO_VERSION;
}

/** The path of the request that identifies the container: the version path, or the health path without one. */
export function proofPath({
  version,
  health = "/",
}: {
  readonly version: string;
  readonly health?: string;
}): string {
  return hasVersion({ version }) ? version : health;
}

/** Expected answers of a service without a version path. */
interface UpstreamExpectation {
  readonly link: Extract<Link, "served" | "container">;
  readonly service: string;
  /** `host:port` of the release's container, as the edge names it; absent if the request went directly to the container. */
  readonly upstream?: string;
  /** Remedy that replaces the default one. */
  readonly remedy?: string;
}

/** Judges the answers of a service by its commit, or by the container that answered if it has no version path. */
export function answerVerdict(
  service: { readonly version: string },
  expectation: VersionExpectation,
  answers: readonly Answer[],
): Verdict | Break {
  return hasVersion(service) ? versionVerdict(expectation, answers) : upstreamVerdict(expectation, answers);
}

/**
 * Judges a service without a version path by which container answered. The links `container`, `image` and `bytes` prove
 * that this container alone has that name, which image it runs, and that the image's files are the commit's.
 */
function upstreamVerdict(of: UpstreamExpectation, answers: readonly Answer[]): Verdict | Break {
  const { link, service, upstream } = of;
  return judgeAnswers(
    {
      link,
      service,
      expected: upstream === undefined ? "an answer of the container" : `an answer from ${upstream}`,
      problem: (answer) => problem(upstream, answer),
      evidence: (all) =>
        `${all[0].url}, ${askedTimes(all.length)}; without a version path, proven by the container that answered and the bytes of its image`,
      remedy: () => of.remedy ?? REMEDY,
    },
    answers,
  );
}

/** The problem with an answer, and what was found; undefined for a correct answer. */
function problem(upstream: string | undefined, answer: Answer): [string, string] | undefined {
  if (answer.status === 0) return ["does not answer", `no answer (${answer.error})`];
  if (upstream === undefined)
    return answer.status < 500 ? undefined : ["answers with an error", shownAnswer(answer)];
  const from = answer.headers[UPSTREAM_HEADER];
  if (from === undefined)
    return answer.status < 500
      ? ["is not answered by this deploy's container", "an answer that did not come through the edge"]
      : ["answers with an error", shownAnswer(answer)];
  const cache = cachedBy(answer.headers);
  if (cache !== undefined) return ["is answered by a cache", cache];
  if (from !== upstream) return ["is not answered by this deploy's container", from];
  return answer.status < 500 ? undefined : ["answers with an error", shownAnswer(answer)];
}
