import { simpleGit } from "simple-git";
import type { ServiceConfig } from "../config";
import { type Checkout, contextPath, treeAt } from "./checkout";
import { parseTree, readObjects, type TreeEntry } from "./git";

/** What an image is made from, as the commit has it. */
export interface BuildInputs {
  readonly tree: readonly TreeEntry[];
  /** What the tree's symbolic links lead to, by blob. */
  readonly links: ReadonlyMap<string, string>;
  readonly dockerfile: string;
  readonly dockerignore: string;
}

/** Reads from git what a service's image is made from. */
export async function readBuildInputs(
  checkout: Pick<Checkout, "root" | "prefix" | "tree">,
  service: Pick<ServiceConfig, "context" | "dockerfile">,
): Promise<BuildInputs> {
  const path = contextPath(checkout, service);
  const tree = parseTree(await simpleGit(checkout.root).raw(["ls-tree", "-r", "-z", treeAt(checkout, path)]));
  const at = (file: string) => tree.find((entry) => entry.path === file);
  const dockerfile = at(service.dockerfile);
  if (!dockerfile) throw new Error(`the commit has no ${service.dockerfile} in ${path || "its root"}`);
  const ignore = at(`${service.dockerfile}.dockerignore`) ?? at(".dockerignore");
  const links = tree.filter((entry) => entry.mode === "120000");
  const hashes = [dockerfile, ...links, ...(ignore ? [ignore] : [])].map((entry) => entry.hash);
  const contents = (await readObjects(checkout.root, hashes)).map((content) => content.toString("utf8"));
  return {
    tree,
    links: new Map(links.map((entry, index) => [entry.hash, contents[index + 1]!])),
    dockerfile: contents[0]!,
    dockerignore: ignore ? contents.at(-1)! : "",
  };
}
