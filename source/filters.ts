import type { DeployConfig } from "../config/types";
import { broken, FreshnessError, type Verdict } from "../freshness/chain";
import { NAMESPACE } from "../freshness/project";
import { textBefore } from "../freshness/sure";
import { withIndexOf } from "./attributes";
import { gitBytes, gitWith } from "./git";
import { blobId, type Objects } from "./objects";
import type { Located } from "./submodules";

/** Git LFS runs no program here: its contents are identified by their hashes. */
const LFS = "lfs";
const NAMED = 5;

/**
 * Judges a context's files that git filters change at a checkout, as git-crypt does.
 *
 * @param entries the files that the build gets
 * @returns undefined without such files
 * @throws FreshnessError (link commit) if the configuration does not say what to do with them
 */
export function filterVerdict(
  service: string,
  entries: readonly Located[],
  filterNames: ReadonlyMap<Located, string>,
  filters: DeployConfig["filters"],
): Verdict | undefined {
  const changed = filteredOf(entries, filterNames);
  if (changed.length === 0) return undefined;
  const names = [...new Set(changed.map(({ filter }) => filter))].join(", ");
  const named = changed.slice(0, NAMED).map(({ entry }) => entry.path);
  const files = `${count(changed.length)}: ${named.join(", ")}${changed.length > NAMED ? ", …" : ""}`;
  const common = { link: "commit", service, evidence: `the git attribute filter: ${names}` } as const;
  if (filters === "refuse")
    throw new FreshnessError(
      broken({
        ...common,
        wrong: `the git filter ${names} changes files between the commit and a checkout`,
        expected: "files deployed as they are committed",
        found: files,
        remedy: `Set "${NAMESPACE}:filters: apply" to run the filter that git's configuration on this machine names, or "stored" to deploy the committed bytes.`,
      }),
    );
  const found =
    filters === "apply"
      ? `the filter ${names} was run on ${files}`
      : `${files} as stored, without the filter ${names}`;
  return { ...common, status: "proven", expected: found, found };
}

/**
 * Runs the filters as a checkout of the tree would, if the configuration allows it.
 *
 * @param blobs receives the contents, by the IDs that they would have as blobs
 * @throws FreshnessError (link commit) if a filter is not set up on this machine, or fails
 */
export async function filtered(
  service: string,
  entries: readonly Located[],
  filterNames: ReadonlyMap<Located, string>,
  { blobs, filters }: { readonly blobs: Objects; readonly filters: DeployConfig["filters"] },
): Promise<readonly Located[]> {
  const wanted = filteredOf(entries, filterNames);
  if (wanted.length === 0 || filters !== "apply") return entries;
  const changed = new Map<Located, Located>();
  for (const [repository, tree] of new Map(wanted.map(({ entry }) => [entry.repository, entry.tree]))) {
    const own = wanted.filter(({ entry }) => entry.repository === repository && entry.tree === tree);
    await withIndexOf(repository, tree, async (env) => {
      for (const { entry, filter } of own) {
        if (!(await isSetUp(repository, filter)))
          throw failed(service, entry, filter, "git's configuration has no such filter");
        const content = await gitBytes(
          repository,
          ["cat-file", "--filters", `--path=${entry.own}`, entry.hash],
          // Ignore the attribute files of the working tree.
          { env: { ...env, GIT_WORK_TREE: folderOf(env) }, filters: true },
        ).catch((cause: Error) => {
          throw failed(service, entry, filter, textBefore(cause.message, "\n"));
        });
        const hash = blobId(entry.hash, content);
        blobs.set(hash, content);
        changed.set(entry, { ...entry, hash });
      }
    });
  }
  return entries.map((entry) => changed.get(entry) ?? entry);
}

/** The files that a filter changes, each with its filter. */
function filteredOf(
  entries: readonly Located[],
  filterNames: ReadonlyMap<Located, string>,
): { readonly entry: Located; readonly filter: string }[] {
  return entries.flatMap((entry) => {
    const filter = filterNames.get(entry);
    return filter === undefined || filter === LFS ? [] : [{ entry, filter }];
  });
}

/** A filter with only `clean` leaves a checkout's files as they are stored. */
async function isSetUp(repository: string, filter: string): Promise<boolean> {
  const kinds = ["smudge", "process", "clean"].map((kind) =>
    // Without `filters`, these values override git's configuration.
    gitWith(repository, ["config", "--get", `filter.${filter}.${kind}`], { filters: true }).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(kinds)).includes(true);
}

function folderOf({ GIT_INDEX_FILE = "" }: Record<string, string>): string {
  return GIT_INDEX_FILE.replace(/[^/]*$/, "");
}

function failed(service: string, { path }: Located, filter: string, found: string): FreshnessError {
  return new FreshnessError(
    broken({
      link: "commit",
      service,
      wrong: `the git filter ${filter} cannot be run on ${path}`,
      expected: `filter.${filter}.smudge in git's configuration`,
      found,
      evidence: path,
      remedy: `Set the filter up on this machine, as "git-crypt unlock" does, and deploy again.`,
    }),
  );
}

function count(files: number): string {
  return files === 1 ? "1 file" : `${files} files`;
}
