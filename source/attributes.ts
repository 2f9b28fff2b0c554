import { mkdtemp, readFile, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, posix, resolve } from "node:path";
import { EVERY_SERVICE } from "../freshness/chain";
import type { TreeEntry } from "../freshness/files";
import { gitBytes, gitWith, settingOf } from "./git";
import type { Objects } from "./objects";
import { ifReadable } from "./readable";
import type { Located } from "./submodules";
import { parseTree } from "./tree";

const ATTRIBUTES = ".gitattributes";

/**
 * Finds the files with a filter attribute in the tree: from the tree's own attribute files, the clone's
 * info/attributes, and the user's file. Ignores the working tree.
 *
 * @param blobs receives the attribute files
 * @returns entry → filter
 */
export async function filtersOf(
  entries: readonly Located[],
  blobs: Objects,
): Promise<ReadonlyMap<Located, string>> {
  const trees = new Map<string, Tree>();
  for (const entry of entries) {
    if (!entry.mode.startsWith("100")) continue;
    const { repository, tree } = entry;
    const key = `${repository}\0${tree}`;
    const of = trees.get(key);
    if (of) of.entries.push(entry);
    else trees.set(key, { repository, tree, entries: [entry] });
  }
  const found = await Promise.all([...trees.values()].map((of) => ofTree(of, blobs)));
  return new Map(found.flat());
}

/** Files of one tree of a repository. */
interface Tree {
  readonly repository: string;
  readonly tree: string;
  readonly entries: Located[];
}

async function ofTree(of: Tree, blobs: Objects): Promise<[Located, string][]> {
  if (!(await mayFilter(of, blobs))) return [];
  const { repository, tree, entries } = of;
  return withIndexOf(repository, tree, async (env) => {
    const input = entries.map(({ own }) => `${own}\0`).join("");
    const said = await gitWith(repository, ["check-attr", "--cached", "-z", "--stdin", "filter"], {
      env,
      input,
    });
    const parts = said.split("\0");
    return entries.flatMap((entry, at): [Located, string][] => {
      const filter = parts[at * 3 + 2] ?? "unspecified";
      return ["unspecified", "unset", "set"].includes(filter) ? [] : [[entry, filter]];
    });
  });
}

/** Whether any attribute file mentions filters. Most repositories have none and need no index for the answer. */
async function mayFilter({ repository, tree, entries }: Tree, blobs: Objects): Promise<boolean> {
  const speaks = (text: string | undefined) => text !== undefined && /\bfilter\b/.test(text);
  const inside = entries.filter(({ own }) => posix.basename(own) === ATTRIBUTES);
  await readTexts(repository, inside, blobs);
  if (inside.some(({ hash }) => speaks(blobs.get(hash)?.toString("utf8")))) return true;
  const files = await attributeFiles(repository);
  const texts = files.map((file) => ifReadable(readFile(file, "utf8")));
  if ((await Promise.all(texts)).some(speaks)) return true;

  const above = new Set([ATTRIBUTES]);
  for (const { own, path } of entries) {
    // Folder of the context or the submodule.
    let folder = own.length > path.length ? own.slice(0, -path.length - 1) : ".";
    for (folder = posix.dirname(folder); folder !== "."; folder = posix.dirname(folder))
      above.add(posix.join(folder, ATTRIBUTES));
  }
  const listing = await gitBytes(repository, ["ls-tree", "-z", "--full-tree", tree, "--", ...above]);
  const found = parseTree(listing, EVERY_SERVICE, { alone: true });
  await readTexts(repository, found, blobs);
  return found.some(({ hash }) => speaks(blobs.get(hash)?.toString("utf8")));
}

async function readTexts(repository: string, entries: readonly TreeEntry[], blobs: Objects): Promise<void> {
  const hashes = entries.map(({ hash }) => hash);
  await blobs.read(repository, hashes);
  await blobs.need(repository, hashes);
}

/** Attribute files outside the tree. */
async function attributeFiles(repository: string): Promise<string[]> {
  const [own, users] = await Promise.all([
    gitWith(repository, ["rev-parse", "--git-path", "info/attributes"]),
    settingOf(repository, "core.attributesfile"),
  ]);
  const config = process.env.XDG_CONFIG_HOME || join(homedir(), ".config");
  return [
    resolve(repository, own.trim()),
    users?.replace(/^~(?=\/)/, homedir()) ?? join(config, "git", "attributes"),
    "/etc/gitattributes",
  ];
}

/** Runs with a temporary index that holds a tree, without a working tree. */
export async function withIndexOf<T>(
  repository: string,
  tree: string,
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "watch-party-attributes-"));
  try {
    const env = { GIT_INDEX_FILE: join(folder, "index") };
    await gitWith(repository, ["read-tree", tree], { env });
    return await work(env);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
