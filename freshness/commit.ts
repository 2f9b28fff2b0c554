import { type Break, broken, EVERY_SERVICE, type Verdict } from "./chain";
import { NAMESPACE } from "./project";

/** Commits that CI and the upstream branch name. */
export interface NamedCommits {
  /** Commit that CI names for this repository; absent if CI names none. */
  readonly ci?: {
    /** The variable that names the commit. */
    readonly variable: string;
    /** Full commit IDs. The first is the variable's. */
    readonly commits: readonly string[];
  };
  /** Upstream branch of HEAD's branch, used if CI names no commit. */
  readonly upstream: Upstream;
}

export type Upstream =
  | { readonly status: "not checked"; readonly why: string }
  | {
      readonly status: "same" | "ahead" | "behind" | "diverged";
      /** For example `origin/main`. */
      readonly branch: string;
      /** Tip of the branch, as its remote reports it. */
      readonly tip: string;
    };

/**
 * Judges the commit. The export from git objects proves the files. CI and the upstream branch confirm that it is the
 * intended commit.
 * @param named absent if the configuration names the commit
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
      remedy: `${remedy} To deploy an older commit on purpose, set ${NAMESPACE}:commit to it.`,
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
