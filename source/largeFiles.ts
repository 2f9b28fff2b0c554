import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, posix, resolve } from "node:path";
import { broken, FreshnessError } from "../freshness/chain";
import { gitIn, gitWith } from "./git";
import type { Located } from "./submodules";

/** No pointer is longer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const LONGEST_POINTER = 1024;
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:[\w.-]+ .*\n)*?oid sha256:([0-9a-f]{64})\n/;

/** The oid of a Git LFS pointer; undefined for any other content. */
export function pointerOf(content: Uint8Array): string | undefined {
  if (content.byteLength > LONGEST_POINTER) return undefined;
  return POINTER.exec(Buffer.from(content).toString("utf8"))?.[1];
}

/**
 * Puts the contents of Git LFS files in the place of their pointers: git holds the pointer alone, and an image with
 * pointers in it would be built without a word.
 *
 * @param blobs gets the contents added, by the ids that they would have as blobs
 * @throws FreshnessError (link commit) where a content is not here
 */
export async function readPointers(
  service: string,
  folder: string,
  entries: readonly Located[],
  blobs: Map<string, Buffer>,
): Promise<readonly Located[]> {
  const pointers = new Map(
    entries.flatMap((entry) => {
      const oid = entry.mode.startsWith("100") ? pointerOf(blobs.get(entry.hash)!) : undefined;
      return oid === undefined ? [] : [[entry, oid] as const];
    }),
  );
  if (pointers.size === 0) return entries;
  return Promise.all(
    entries.map(async (entry) => {
      const oid = pointers.get(entry);
      const file = posix.join(folder, entry.path);
      // A file that looks like a pointer is one where the attributes say so.
      if (oid === undefined || !(await isLarge(entry.repository, file))) return entry;
      const content = await contentOf(entry.repository, file, oid);
      if (content === undefined)
        throw new FreshnessError(
          broken({
            link: "commit",
            service,
            wrong: `the content of ${entry.path} is not here, only its Git LFS pointer`,
            expected: `content with sha256 ${oid.slice(0, 12)}`,
            found: "neither in the LFS store nor in the working tree",
            evidence: file,
            remedy: 'Run "git lfs pull" (actions/checkout: lfs: true).',
          }),
        );
      const algorithm = entry.hash.length === 64 ? "sha256" : "sha1";
      const hash = createHash(algorithm).update(`blob ${content.length}\0`).update(content).digest("hex");
      blobs.set(hash, content);
      return { ...entry, hash };
    }),
  );
}

async function isLarge(repository: string, file: string): Promise<boolean> {
  const said = await gitWith(repository, ["check-attr", "-z", "filter", "--", file]);
  return said.split("\0")[2] === "lfs";
}

/** The content by its hash, wherever it lies. */
async function contentOf(repository: string, file: string, oid: string): Promise<Buffer | undefined> {
  const common = (await gitIn(repository).revparse(["--git-common-dir"])).trim();
  const stored = join(resolve(repository, common), "lfs", "objects", oid.slice(0, 2), oid.slice(2, 4), oid);
  for (const path of [stored, file]) {
    const content = await readFile(path).catch(() => undefined);
    if (content && createHash("sha256").update(content).digest("hex") === oid) return content;
  }
  return undefined;
}
