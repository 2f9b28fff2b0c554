import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { join, posix, resolve } from "node:path";
import { broken, FreshnessError } from "../freshness/chain";
import { must } from "../freshness/sure";
import { git } from "./git";
import { blobHash, type Objects } from "./objects";
import { ifReadable } from "./readable";
import type { Located } from "./submodules";

/** Maximum size of a pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const LONGEST_POINTER = 1024;
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:[\w.-]+ .*\n)*?oid sha256:([0-9a-f]{64})\n/;

/** The OID in a Git LFS pointer; undefined for other content. */
export function pointerOf(content: Uint8Array): string | undefined {
  if (content.byteLength > LONGEST_POINTER) return undefined;
  return POINTER.exec(Buffer.from(content).toString("utf8"))?.[1];
}

/**
 * Replaces Git LFS pointers by their contents. Git has only the pointers, and an image would be built from them without
 * an error.
 *
 * @param blobs receives the contents, by the IDs that they would have as blobs
 * @throws FreshnessError (link commit) if a content is missing
 */
export async function readPointers(
  service: string,
  folder: string,
  entries: readonly Located[],
  { blobs, filterNames }: { readonly blobs: Objects; readonly filterNames: ReadonlyMap<Located, string> },
): Promise<readonly Located[]> {
  // A file that looks like a pointer is one only if the attributes say so.
  const large = entries.filter(
    (entry) => filterNames.get(entry) === "lfs" && (blobs.size(entry.hash) ?? 0) <= LONGEST_POINTER,
  );
  for (const repository of new Set(large.map((entry) => entry.repository)))
    await blobs.need(
      repository,
      large.flatMap((entry) => (entry.repository === repository ? [entry.hash] : [])),
    );
  const replaced = new Map<Located, Located>();
  // In sequence, because each is read in full.
  for (const entry of large) {
    const oid = pointerOf(must(blobs.get(entry.hash), `content of ${entry.path}`));
    if (oid === undefined) continue;
    const file = posix.join(folder, entry.path);
    const content = await contentOf(entry, file, oid);
    if (content === undefined)
      throw new FreshnessError(
        broken({
          link: "commit",
          service,
          wrong: `the content of ${entry.path} is missing, the checkout has only its Git LFS pointer`,
          expected: `content with sha256 ${oid.slice(0, 12)}`,
          found: "neither in the LFS store nor in the working tree",
          evidence: file,
          remedy: 'Run "git lfs pull" (actions/checkout: lfs: true).',
        }),
      );
    blobs.setFile(content.hash, content.path, content.size);
    replaced.set(entry, { ...entry, hash: content.hash });
  }
  return entries.map((entry) => replaced.get(entry) ?? entry);
}

/** Finds the file with the content, and computes the content's blob ID. */
async function contentOf({ repository, hash }: Located, file: string, oid: string) {
  const common = (await git(repository, ["rev-parse", "--git-common-dir"])).trim();
  const stored = join(resolve(repository, common), "lfs", "objects", oid.slice(0, 2), oid.slice(2, 4), oid);
  for (const path of [stored, file]) {
    const stats = await ifReadable(lstat(path));
    if (!stats?.isFile()) continue;
    const own = blobHash(hash, stats.size);
    if ((await sha256(path, (chunk) => own.update(chunk))) === oid)
      return { path, size: stats.size, hash: own.digest("hex") };
  }
  return undefined;
}

/** Hashes a file while reading it. */
export async function sha256(
  file: string,
  also: (chunk: Buffer) => unknown = () => undefined,
): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
    also(chunk);
  }
  return hash.digest("hex");
}
