import { stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import type { DeployConfig, ServiceConfig } from "../config/types";
import { broken, EVERY_SERVICE, FreshnessError } from "../freshness/chain";
import { NAMESPACE } from "../freshness/project";
import { type Change, changesBelow, snapshotTree } from "./changes";
import { git } from "./git";

/** The version to build: one tree of one commit. */
export interface Checkout {
  /** Root of the git checkout. */
  readonly root: string;
  /** Folder of the app, relative to the root; empty at the root. */
  readonly prefix: string;
  /** The commit's full id. */
  readonly commit: string;
  /** The version that the app reports: the commit, or `<sha>-dirty-<tree>`. */
  readonly identity: string;
  /** The git tree to export, of the whole checkout. */
  readonly tree: string;
}

/** The source cannot be built: no checkout, no such commit, no Dockerfile. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

type Asked = Pick<DeployConfig, "source" | "commit" | "uncommitted"> & Partial<Pick<DeployConfig, "filters">>;

/**
 * Resolves the configured source, and refuses uncommitted changes.
 *
 * @throws SourceError if the commit does not exist
 * @throws FreshnessError (link commit) if the working tree has uncommitted changes
 */
export async function resolveCheckout(config: Asked): Promise<Checkout> {
  return withChanges(await commitOf(config), config);
}

/**
 * Resolves the configured commit, ignoring uncommitted changes.
 *
 * @throws SourceError if the commit does not exist
 */
export async function commitOf({ source, commit }: Asked): Promise<Checkout> {
  const folder = resolve(source);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new SourceError(`source ${folder} is not a folder; set ${NAMESPACE}:source to the app's folder`);
  const found = await findCommit(folder, commit);
  return { ...found, identity: found.commit };
}

/**
 * Adds uncommitted changes, if the configuration includes them.
 *
 * @throws FreshnessError (link commit) if it refuses them
 */
export async function withChanges(found: Checkout, config: Asked): Promise<Checkout> {
  if (config.commit !== "HEAD") return found;
  const filters = config.filters === "apply";
  const all = await changesBelow(found.root, found.prefix, found.commit, filters);
  const changes = all.filter((change) => !isStackFile(change, found.root));
  if (changes.length === 0) return found;
  const refusal =
    config.uncommitted === "include" ? changes.filter(({ inSubmodule }) => inSubmodule) : changes;
  if (refusal.length > 0) throw refused(found, resolve(config.source), refusal, config.uncommitted);
  const tree = await snapshotTree(found.root, found.prefix, found.commit, filters);
  return { ...found, tree, identity: `${found.commit}-dirty-${tree.slice(0, 12)}` };
}

/** The stacks' files are configuration, not source. The Pulumi CLI itself adds an encryption salt to the one that it uses. */
function isStackFile({ text }: Change, root: string): boolean {
  const path = join(root, text.slice(3));
  return dirname(path) === process.cwd() && /^Pulumi\.[\w.-]+\.yaml$/.test(basename(path));
}

/** The service's build context, relative to the checkout's root; empty at the root. */
export function contextPath(
  checkout: Pick<Checkout, "prefix">,
  service: Pick<ServiceConfig, "context">,
): string {
  const path = posix.normalize(posix.join(checkout.prefix, service.context)).replace(/\/$/, "");
  return path === "." ? "" : path;
}

/** The commit of a version, without its suffix for uncommitted changes. */
export function baseCommit(identity: string): string {
  return identity.replace(/-.*/, "");
}

/** A version short enough for a tag or a folder: twelve digits of the commit, and the suffix. */
export function shortIdentity(identity: string): string {
  return identity.replace(/^(.{12})[^-]*/, "$1");
}

async function findCommit(folder: string, revision: string): Promise<Omit<Checkout, "identity">> {
  const place = ["rev-parse", "--is-shallow-repository", "--show-toplevel", "--show-prefix"];
  const isOption = revision.startsWith("-");
  const wanted = isOption ? [] : [`${revision}^{commit}`, `${revision}^{tree}`];
  const [, root = "", prefix = "", commit = "", tree = ""] = lines(
    await git(folder, [...place, ...wanted]).catch(() => ""),
  );
  const isObject = (line: string) => /^[0-9a-f]{40,}$/.test(line);
  if (isObject(commit) && isObject(tree)) {
    await refuseAmbiguous(folder, revision);
    return { root, prefix: prefix.replace(/\/$/, ""), commit, tree };
  }

  const [shallow] = lines(
    await git(folder, place).catch((cause: Error) => {
      const owned = /dubious ownership in repository at '(.*)'/.exec(cause.message)?.[1];
      if (owned !== undefined)
        throw new SourceError(
          `source ${folder} belongs to another user, so that git does not read it; change its owner, or run "git config --global --add safe.directory ${owned}"`,
        );
      throw new SourceError(
        `source ${folder} is not inside a git checkout; deploy from a clone, or run "git init" and commit there\n${cause.message.trim()}`,
      );
    }),
  );
  throw new SourceError(
    `commit "${revision}" does not exist in this checkout` +
      (shallow === "true"
        ? '; the clone is shallow and may lack it: run "git fetch --unshallow" (actions/checkout: fetch-depth: 0)'
        : `; run "git fetch --all --tags", or set ${NAMESPACE}:commit to one that exists`),
  );
}

/**
 * Git takes the tag where a tag and a branch share a name: the deploy of a branch would never see its new commits.
 *
 * @throws SourceError if the two are different commits
 */
async function refuseAmbiguous(folder: string, revision: string): Promise<void> {
  if (revision === "HEAD" || /^[0-9a-f]{40,}$/.test(revision)) return;
  const [tag, branch] = await Promise.all(
    ["tags", "heads"].map(async (kind) => {
      const ref = `refs/${kind}/${revision}`;
      const found = await git(folder, ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`]).catch(
        () => "",
      );
      return { ref, commit: found.trim() };
    }),
  );
  if (!tag?.commit || !branch?.commit || tag.commit === branch.commit) return;
  throw new SourceError(
    `commit "${revision}" is the name of a tag (${tag.commit.slice(0, 12)}) and of a branch (${branch.commit.slice(0, 12)}); set ${NAMESPACE}:commit to "${branch.ref}" or "${tag.ref}"`,
  );
}

function lines(output: string): string[] {
  return output.split("\n");
}

function refused(
  { root, commit }: Pick<Checkout, "root" | "commit">,
  folder: string,
  changes: readonly Change[],
  uncommitted: DeployConfig["uncommitted"],
): FreshnessError {
  const named = changes.slice(0, 10).map(({ text }) => text);
  return new FreshnessError(
    broken({
      link: "commit",
      service: EVERY_SERVICE,
      wrong:
        uncommitted === "include"
          ? "a submodule has uncommitted changes, which no snapshot of the checkout holds"
          : "the working tree has uncommitted changes",
      expected: `the files of ${commit.slice(0, 12)} below ${folder}`,
      found: `${changes.length} changed or untracked: ${named.join(", ")}`,
      evidence: `git status in ${root}`,
      remedy:
        uncommitted === "include"
          ? "Commit them in the submodule."
          : `Commit or stash them, or deploy them as they are with "${NAMESPACE}:uncommitted: include".`,
    }),
  );
}
