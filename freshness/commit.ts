import { type Break, broken, EVERY_SERVICE, type Verdict } from "./chain";

/** What others say is the newest commit: the CI that runs this deploy, and the branch that the checkout follows. */
export interface NamedCommits {
  /** What CI names as the commit of this repository; absent where none does. */
  readonly ci?: {
    /** The variable that names it. */
    readonly variable: string;
    /** Full ids, the first of them the variable's. */
    readonly commits: readonly string[];
  };
  /** The branch that HEAD's branch follows, where CI names no commit. */
  readonly upstream: Upstream;
}

export type Upstream =
  | { readonly status: "not checked"; readonly why: string }
  | {
      readonly status: "same" | "ahead" | "behind" | "diverged";
      /** `origin/main`. */
      readonly branch: string;
      /** The branch's tip, as its remote answered. */
      readonly tip: string;
    };

/**
 * Judges what is built. That it is the commit's files is proven by the way the context came to be: exported from the git
 * objects, changes refused or named. That the commit is the one that is meant, by those who name it.
 *
 * @param named absent where the configuration names the commit itself
 */
export function commitVerdict(
  checkout: {
    readonly root: string;
    readonly commit: string;
    readonly identity: string;
    readonly tree: string;
  },
  named?: NamedCommits,
): Verdict | Break {
  const { root, commit, identity, tree } = checkout;
  const lag = (wrong: string, expected: string, evidence: string, remedy: string) =>
    broken({
      link: "commit",
      service: EVERY_SERVICE,
      wrong,
      expected,
      found: `commit ${commit}`,
      evidence,
      remedy: `${remedy} To deploy an older commit on purpose, set watch-party:commit to it.`,
    });
  const ci = named?.ci;
  if (ci && !ci.commits.includes(commit))
    return lag(
      "the checkout is not at the commit that CI names",
      `commit ${ci.commits[0]} (${ci.variable})`,
      `HEAD in ${root}`,
      "See why the checkout did not follow (a failed git pull or fetch), and check that commit out.",
    );
  const upstream = ci ? undefined : named?.upstream;
  if (upstream?.status === "behind")
    return lag(
      `the checkout is behind ${upstream.branch}`,
      `commit ${upstream.tip}, the tip of ${upstream.branch}, or a later one`,
      `HEAD in ${root}`,
      'Run "git pull".',
    );
  const expected = `commit ${identity}`;
  const said = ci ? `named by ${ci.variable}` : upstreamSaid(upstream);
  return {
    link: "commit",
    service: EVERY_SERVICE,
    status: "proven",
    expected,
    found: said === undefined ? expected : `${expected}; ${said}`,
    evidence: `git tree ${tree} in ${root}`,
  };
}

function upstreamSaid(upstream: Upstream | undefined): string | undefined {
  if (!upstream) return undefined;
  if (upstream.status === "not checked") return `upstream not checked: ${upstream.why}`;
  if (upstream.status === "diverged")
    return `upstream not checked: HEAD and ${upstream.branch} have diverged`;
  return upstream.status === "same" ? `the tip of ${upstream.branch}` : `ahead of ${upstream.branch}`;
}
