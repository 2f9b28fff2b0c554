import { createHash } from "node:crypto";
import { join } from "node:path";
import { dependencyBuild } from "../freshness/dockerfile/dependencies";
import type { DockerfileInput } from "../freshness/dockerfile/input";
import type { TreeEntry } from "../freshness/files";
import type { Contents } from "./buildInputs";
import { exportContext } from "./context";
import { blobId } from "./objects";

/** Build inputs of a dependency stage. A commit changes them only if it changes dependencies. */
export interface DependencyContext {
  /** Build context, relative to the project; its Dockerfile ends with the stage. */
  readonly context: string;
  readonly stage: string;
  readonly args: Readonly<Record<string, string>>;
  /** Hash of the commit's inputs of the stage. */
  readonly key: string;
}

/**
 * Writes the build context of a dependency stage: its manifests and lockfiles, and the Dockerfile up to its end. The
 * folder stays the same as long as they do, so that other commits change nothing.
 *
 * @param stage a stage that passed the link `dockerfile`
 */
export async function exportDependencies(
  input: DockerfileInput,
  stage: string,
  of: { readonly tree: readonly TreeEntry[]; readonly blobs: Contents["blobs"]; readonly folder: string },
): Promise<DependencyContext> {
  const { dockerfile, args, files } = dependencyBuild(input, stage);
  const manifests = of.tree.filter(({ path }) => files.includes(path));
  const hash = createHash("sha256").update(JSON.stringify([dockerfile, stage, args, manifests]));
  const key = hash.digest("hex").slice(0, 12);
  const content = Buffer.from(dockerfile);
  const id = blobId(of.tree[0]?.hash ?? "", content);
  const entry: TreeEntry = { mode: "100644", hash: id, path: "Dockerfile" };
  of.blobs.set(entry.hash, content);
  const folder = join(of.folder, `${input.service}.dependencies`);
  const context = await exportContext(folder, `${input.service}-${key}`, [...manifests, entry], of.blobs);
  return { context, stage, args, key };
}
