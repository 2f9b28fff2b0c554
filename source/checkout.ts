import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix, resolve } from "node:path";
import { type SimpleGit, simpleGit } from "simple-git";
import type { DeployConfig, ServiceConfig } from "../config";
import { broken, EVERY_SERVICE, FreshnessError } from "../freshness/chain";

/** What is built: one tree of one commit. */
export interface Checkout {
  /** The root of the git checkout. */
  readonly root: string;
  /** The folder of the app, relative to the root; empty at the root. */
  readonly prefix: string;
  /** The commit's full id. */
  readonly commit: string;
  /** What the app answers at its version paths: the commit, or `<sha>-dirty-<tree>`. */
  readonly identity: string;
  /** The git tree that is exported, of the whole checkout. */
  readonly tree: string;
}

/** The source cannot be built: no checkout, no such commit, no Dockerfile. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/**
 * Finds what the configuration asks to build, and refuses what is not that commit.
 *
 * @throws SourceError where there is no such commit
 * @throws FreshnessError (link commit) where the working tree holds changes that the commit lacks
 */
export async function resolveCheckout(
  config: Pick<DeployConfig, "source" | "commit" | "uncommitted">,
): Promise<Checkout> {
  const folder = resolve(config.source);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new SourceError(`source ${folder} is not a folder; set watch-party:source to the app's folder`);
  const git = simpleGit(folder);
  const root = await git.revparse(["--show-toplevel"]).catch((cause: Error) => {
    throw new SourceError(
      `source ${folder} is not inside a git checkout; deploy from a clone, or run "git init" and commit there\n${cause.message.trim()}`,
    );
  });
  const prefix = (await git.revparse(["--show-prefix"])).replace(/\/$/, "");
  const commit = await resolveCommit(git, config.commit);
  const tree = await git.revparse([`${commit}^{tree}`]);
  if (config.commit !== "HEAD") return { root, prefix, commit, identity: commit, tree };

  const changes = (await git.raw(["status", "--porcelain", "-z", "--untracked-files=all", "--", "."]))
    .split("\0")
    .filter((line) => line !== "");
  if (changes.length === 0) return { root, prefix, commit, identity: commit, tree };
  if (config.uncommitted === "include") {
    const snapshot = await snapshotTree(root, prefix, commit);
    return { root, prefix, commit, identity: `${commit}-dirty-${snapshot.slice(0, 12)}`, tree: snapshot };
  }
  throw new FreshnessError(
    broken({
      link: "commit",
      service: EVERY_SERVICE,
      wrong: "the working tree has uncommitted changes",
      expected: `the files of ${commit.slice(0, 12)} below ${folder}`,
      found: `${changes.length} changed or untracked: ${changes.slice(0, 10).join(", ")}`,
      evidence: `git status in ${root}`,
      remedy: 'Commit or stash them, or deploy them as they are with "watch-party:uncommitted: include".',
    }),
  );
}

/** Problems that keep a service from being built at all, all at once: a missing context, a missing Dockerfile. */
export async function buildProblems(
  checkout: Checkout,
  services: readonly ServiceConfig[],
): Promise<string[]> {
  const git = simpleGit(checkout.root);
  const problems = await Promise.all(
    services.map(async (service) => {
      const context = contextPath(checkout, service);
      const kind = await objectType(git, checkout.tree, context);
      if (kind !== "tree")
        return `service ${service.name}: no folder "${context}" in commit ${checkout.commit.slice(0, 12)}; set watch-party:services.${service.name}.context`;
      const dockerfile = posix.join(context, service.dockerfile);
      return (await objectType(git, checkout.tree, dockerfile)) === "blob"
        ? undefined
        : `service ${service.name}: no Dockerfile "${dockerfile}" in commit ${checkout.commit.slice(0, 12)}; add it and commit, or set watch-party:services.${service.name}.dockerfile`;
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}

/** The service's build context, relative to the checkout's root; empty at the root. */
export function contextPath(
  checkout: Pick<Checkout, "prefix">,
  service: Pick<ServiceConfig, "context">,
): string {
  const path = posix.normalize(posix.join(checkout.prefix, service.context)).replace(/\/$/, "");
  return path === "." ? "" : path;
}

/** How git names a folder of the tree that is built. */
export function treeAt(checkout: Pick<Checkout, "tree">, path: string): string {
  return path === "" ? checkout.tree : `${checkout.tree}:${path}`;
}

/** An identity short enough for a tag or a folder: twelve digits of the commit, and what follows it. */
export function shortIdentity(identity: string): string {
  return identity.replace(/^(.{12})[^-]*/, "$1");
}

async function resolveCommit(git: SimpleGit, revision: string): Promise<string> {
  const commit = await git
    .revparse(["--verify", "--quiet", "--end-of-options", `${revision}^{commit}`])
    .catch(() => "");
  if (commit !== "") return commit;
  const shallow = (await git.revparse(["--is-shallow-repository"])) === "true";
  throw new SourceError(
    `commit "${revision}" does not exist in this checkout` +
      (shallow
        ? '; the clone is shallow and may lack it: run "git fetch --unshallow" (actions/checkout: fetch-depth: 0)'
        : '; run "git fetch --all --tags", or set watch-party:commit to one that exists'),
  );
}

/** The kind of the object at a path of a tree, or undefined. */
async function objectType(git: SimpleGit, tree: string, path: string): Promise<string | undefined> {
  return git.raw(["cat-file", "-t", path === "" ? tree : `${tree}:${path}`]).then(
    (kind) => kind.trim(),
    () => undefined,
  );
}

/** Writes the working tree below the prefix as a git tree on top of the commit, through an index of its own. */
async function snapshotTree(root: string, prefix: string, commit: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "watch-party-index-"));
  try {
    const { PATH = "", HOME = "" } = process.env;
    const environment = { PATH, HOME, GIT_INDEX_FILE: join(folder, "index") };
    const git = simpleGit(root, { allowEnvironment: Object.keys(environment) }).env(environment);
    await git.raw(["read-tree", commit]);
    await git.raw(["add", "--all", "--", prefix === "" ? "." : prefix]);
    return (await git.raw(["write-tree"])).trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
