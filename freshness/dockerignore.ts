import dockerignore from "@balena/dockerignore";
import type { TreeEntry } from "../source/tree";
import type { ImageFile } from "./bytes";

/** Reads the text of a .dockerignore. */
export function ignoreRules(text: string): { ignores(path: string): boolean } {
  // Without the option this package matches as on Windows.
  return dockerignore({ ignorecase: false } as object).add(text.replace(/^\uFEFF/, ""));
}

/**
 * The files of a build context: those of the commit's tree that .dockerignore leaves in.
 *
 * @param links what the symbolic links of the tree lead to, by blob
 * @param dockerfile its path in the context: some clients send it, and .dockerignore, although they are ignored
 */
export function contextFiles(
  tree: readonly TreeEntry[],
  links: ReadonlyMap<string, string>,
  ignored: string,
  dockerfile: string,
): Map<string, ImageFile> {
  const rules = ignoreRules(ignored);
  const files = new Map<string, ImageFile>();
  for (const { mode, hash, path } of tree) {
    // A submodule is not a file.
    if (mode === "160000") continue;
    const leftOut = rules.ignores(path);
    if (leftOut && path !== dockerfile && path !== ".dockerignore") continue;
    files.set(path, {
      kind: mode === "120000" ? "link" : "file",
      hash,
      executable: mode === "100755",
      ...(mode === "120000" ? { target: links.get(hash) } : {}),
      ...(leftOut ? { optional: true } : {}),
    });
  }
  return files;
}
