import { EVERY_SERVICE, type Verdict } from "./chain";

/** What is proven by the way the context came to be: exported from the git objects of the commit, changes refused or named. */
export function commitVerdict(checkout: { root: string; identity: string; tree: string }): Verdict {
  const commit = `commit ${checkout.identity}`;
  const evidence = `git tree ${checkout.tree} in ${checkout.root}`;
  return {
    link: "commit",
    service: EVERY_SERVICE,
    status: "proven",
    expected: commit,
    found: commit,
    evidence,
  };
}
