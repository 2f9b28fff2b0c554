import { posix } from "node:path";
import { broken, FreshnessError } from "../freshness/chain";
import type { TreeEntry } from "../freshness/files";
import { git, gitBytes } from "./git";
import { type ListedEntry, parseTree } from "./tree";

/** An entry, and the repository that has its object. */
export interface Located extends ListedEntry {
  readonly repository: string;
  /** The repository's tree or commit that contains it. */
  readonly tree: string;
  /** Its path in that tree. */
  readonly own: string;
}

/**
 * Replaces a submodule's entry by the files of the commit that the tree names: without them a context would be built
 * without an error.
 *
 * @param folder folder that the entries' paths begin at
 * @param ignoring reads which paths the build ignores, called only if there is a submodule: ignored submodules may be
 * missing
 * @throws FreshnessError (link commit) if the submodule or its commit is missing
 */
export async function openSubmodules(
  service: string,
  folder: string,
  entries: readonly Located[],
  ignoring: (entries: readonly Located[]) => Promise<(path: string) => boolean>,
): Promise<readonly Located[]> {
  const link = entries.find(({ mode }) => mode === "160000");
  if (!link) return entries;
  // The whole context is a submodule.
  if (link.path === "")
    return openSubmodules(service, folder, await filesOf(service, folder, link), ignoring);
  const ignores = await ignoring(entries);
  const open = async (entry: Located): Promise<Located[]> => {
    if (entry.mode !== "160000") return [entry];
    if (ignores(entry.path)) return [];
    return (await Promise.all((await filesOf(service, folder, entry)).map(open))).flat();
  };
  return (await Promise.all(entries.map(open))).flat();
}

async function filesOf(service: string, folder: string, { path, hash }: TreeEntry): Promise<Located[]> {
  const at = posix.join(folder, path);
  const problem = (found: string) =>
    new FreshnessError(
      broken({
        link: "commit",
        service,
        wrong: `submodule ${path || folder} cannot be read`,
        expected: `its commit ${hash.slice(0, 12)}`,
        found,
        evidence: at,
        remedy: 'Run "git submodule update --init --recursive" (actions/checkout: submodules: recursive).',
      }),
    );
  // An empty folder belongs to the surrounding checkout; a missing one to none.
  const top = await Promise.resolve()
    .then(() => git(at, ["rev-parse", "--show-toplevel", "--show-prefix"]))
    .catch(() => "");
  const [root = "", prefix = ""] = top.split("\n");
  if (root === "" || prefix !== "") throw problem("no checkout of it");
  const listing = await gitBytes(root, ["ls-tree", "-r", "-t", "-z", "--full-tree", hash]).catch(() => {
    throw problem("a checkout that lacks this commit");
  });
  return parseTree(listing, service).map((entry) => ({
    ...entry,
    path: posix.join(path, entry.path),
    repository: root,
    tree: hash,
    own: entry.path,
  }));
}
