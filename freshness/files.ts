/** A file or a symbolic link, known by what git calls its content: no time, no owner. */

export interface ImageFile {
  readonly kind: "file" | "link";
  /** The git blob's id of the content, or of the link's target. */
  readonly hash: string;
  readonly executable: boolean;
  /** Where a link leads to, where that is known. */
  readonly target?: string;
  /** May be missing. */
  readonly optional?: boolean;
}
/** Paths relative to a root → what lies there. Folders are not counted: git knows none. */
export type Files = ReadonlyMap<string, ImageFile>;

/** An entry of a tree: a file, a symbolic link, or a submodule. */
export interface TreeEntry {
  readonly mode: "100644" | "100755" | "120000" | "160000";
  readonly hash: string;
  /** Path relative to the tree. */
  readonly path: string;
}
