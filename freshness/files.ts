/** A file or a symbolic link, identified by its content in git, without time and owner. */

export interface ImageFile {
  readonly kind: "file" | "link";
  /** Git blob ID of the content, or of the link's target. */
  readonly hash: string;
  readonly executable: boolean;
  /** Target of a link, if known. */
  readonly target?: string;
  /** Whether the file may be missing. */
  readonly optional?: boolean;
}
/** Path relative to a root → file. Folders are not included, because git does not store them. */
export type Files = ReadonlyMap<string, ImageFile>;

/** An entry of a tree: a file, a symbolic link, or a submodule. */
export interface TreeEntry {
  readonly mode: "100644" | "100755" | "120000" | "160000";
  readonly hash: string;
  /** Path relative to the tree. */
  readonly path: string;
}
