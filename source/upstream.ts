import { readFile, realpath } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { NamedCommits, Upstream } from "../freshness/commit";
import { textBefore } from "../freshness/sure";
import type { Checkout } from "./checkout";
import { git, gitWith, isWithin } from "./git";

/** Timeout for a remote, in milliseconds. */
const PATIENCE_MS = 5_000;

/** Variables in which a CI names its commit, the commit's repository, and the checkout's folder. */
const CI = [
  ["GITHUB_SHA", "GITHUB_REPOSITORY", "GITHUB_WORKSPACE"],
  ["CI_COMMIT_SHA", "CI_PROJECT_PATH", "CI_PROJECT_DIR"],
  ["BITBUCKET_COMMIT", "BITBUCKET_REPO_FULL_NAME", "BITBUCKET_CLONE_DIR"],
  ["CIRCLE_SHA1", "CIRCLE_PROJECT_REPONAME", "CIRCLE_WORKING_DIRECTORY"],
  ["BUILDKITE_COMMIT", "BUILDKITE_REPO", "BUILDKITE_BUILD_CHECKOUT_PATH"],
  ["BUILD_SOURCEVERSION", "BUILD_REPOSITORY_URI", "BUILD_SOURCESDIRECTORY"],
  ["DRONE_COMMIT_SHA", "DRONE_REPO", "DRONE_WORKSPACE"],
  ["TRAVIS_COMMIT", "TRAVIS_REPO_SLUG", "TRAVIS_BUILD_DIR"],
  // Other programs use Jenkins' variable names too: they count only if Jenkins' own variable is set.
  ["GIT_COMMIT", "GIT_URL", "WORKSPACE", "JENKINS_URL"],
] as const;

/** Finds out which commit is meant: from CI, otherwise from the upstream branch. Never rejects. */
export async function readNamed(
  checkout: Pick<Checkout, "root" | "commit">,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<NamedCommits> {
  const ci = await readCi(checkout, env);
  if (ci) return { ci, upstream: { status: "not checked", why: "CI names the commit" } };
  const upstream = await readUpstream(checkout).catch(
    (cause: Error): Upstream => ({ status: "not checked", why: textBefore(cause.message.trim(), "\n") }),
  );
  return { upstream };
}

async function readCi(
  { root }: Pick<Checkout, "root">,
  env: Readonly<Record<string, string | undefined>>,
): Promise<NamedCommits["ci"]> {
  for (const [variable, repository, workspace, own] of CI) {
    const commit = env[variable];
    if (commit === undefined || !/^[0-9a-f]{40,}$/.test(commit) || (own && !env[own])) continue;
    // The deploy may be of another repository's app than the one that CI checked out.
    if (!(await isOf(root, commit, env[repository], env[workspace]))) continue;
    return { variable, commits: [commit, ...(await pullRequestHead(env))] };
  }
  return undefined;
}

/** Whether CI's variables are about this checkout's repository. */
async function isOf(
  root: string,
  commit: string,
  repository: string | undefined,
  workspace: string | undefined,
): Promise<boolean> {
  if (!repository) return true;
  if (workspace && (await realpath(workspace).catch(() => "")) === root) return true;
  const plain = (url: string) => url.replace(/(\.git)?\/*$/, "").toLowerCase();
  const listed = (await git(root, ["remote", "-v"])).split("\n");
  const remotes = listed.flatMap((line) => {
    const [, url] = /\t(.*) \(fetch\)/.exec(line) ?? [];
    return url === undefined ? [] : [plain(url)];
  });
  if (
    remotes.some(
      (url) =>
        url === plain(repository) ||
        url.endsWith(`/${plain(repository)}`) ||
        url.endsWith(`:${plain(repository)}`),
    )
  )
    return true;
  return gitWith(root, ["cat-file", "-e", `${commit}^{commit}`]).then(
    () => true,
    () => false,
  );
}

/** GitHub names the merge commit of a pull request; the checkout may be at the request's head instead. */
async function pullRequestHead(env: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  const file = env.GITHUB_EVENT_PATH;
  if (!file || !isAbsolute(file)) return [];
  const event = await readFile(file, "utf8")
    .then(JSON.parse)
    .catch(() => ({}));
  const head = event?.pull_request?.head?.sha;
  return typeof head === "string" ? [head] : [];
}

async function readUpstream({ root, commit }: Pick<Checkout, "root" | "commit">): Promise<Upstream> {
  const format = "%(HEAD)%00%(upstream:remotename)%00%(upstream:remoteref)%00%(upstream:short)%00%(upstream)";
  const branches = (await git(root, ["for-each-ref", `--format=${format}`, "refs/heads"])).split("\n");
  const [, remote, ref, branch = "", tracking = ""] =
    branches.find((line) => line.startsWith("*"))?.split("\0") ?? [];
  if (!remote || !ref) return { status: "not checked", why: "HEAD follows no branch of a remote" };
  const tip = await askRemote(root, remote, ref);
  if (tip === undefined) return { status: "not checked", why: `${branch} does not answer` };
  if (tip === commit) return { status: "same", branch, tip };

  if (await isWithin(root, tip, commit)) return { status: "ahead", branch, tip };
  // The tip may not have been fetched. It is then newer than the fetched one, and HEAD is older if it is an ancestor of
  // that.
  const older = (await isWithin(root, commit, tip)) || (await isWithin(root, commit, tracking));
  return { status: older ? "behind" : "diverged", branch, tip };
}

/** A branch's tip, or undefined if the remote does not answer, asks for a password, or lacks the branch. */
async function askRemote(root: string, remote: string, ref: string): Promise<string | undefined> {
  // Git takes the first of several `uploadpack` values; an option takes precedence.
  const options = ["--quiet", "--upload-pack=git-upload-pack"];
  try {
    const said = await gitWith(root, ["ls-remote", ...options, "--", remote, ref], { timeout: PATIENCE_MS });
    const line = said.split("\n").find((each) => each.endsWith(`\t${ref}`));
    return line === undefined ? undefined : textBefore(line, "\t");
  } catch {
    // The verdict then says that the branch does not answer.
    return undefined;
  }
}
