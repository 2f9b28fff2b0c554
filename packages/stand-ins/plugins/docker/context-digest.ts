/**
 * The digest by which a change of the build context is noticed. It counts names, modes and contents of the files that
 * are not ignored, and no times. The recipe is the official plugin's, so that a state moves between the two unchanged.
 */

import { createHash } from "node:crypto";
import { createReadStream, lstatSync, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { readFile, readlink, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Ignore, parseDockerignore } from "./dockerignore";

/** Bytes up to which a file is read in one go: a stream for each of thousands of source files takes seconds. */
const SMALL = 1024 ** 2;
/** Milliseconds after a change within which another may leave the same times: the kernel's clock has ticks of up to 10 ms. */
const UNSETTLED = 50;

/** File → its digest and the times it was read at. A deploy asks four times for two images of one context. */
const known = new Map<string, { readonly state: string; readonly digest: Buffer }>();

/** The digest of a context folder and its Dockerfile, which need not lie in it. */
export async function contextDigest(context: string, dockerfile: string): Promise<string> {
  const total = createHash("sha256");
  const add = (name: string, mode: string, digest: Buffer): void => {
    total.update(name).update(mode).update(digest).update("\0");
  };
  // First under a fixed name: what the file is called makes no difference to what is built.
  add("Dockerfile", "----------", await hashFile(dockerfile, statSync(dockerfile)));
  const ignore = parseDockerignore(await ignoreFile(context, dockerfile));
  for (const { path, stats } of walk(context, "", ignore)) {
    const full = join(context, path);
    const digest = stats.isSymbolicLink() ? hashText(await linkTarget(full)) : await hashFile(full, stats);
    add(path, goMode(stats), digest);
  }
  return total.digest("hex");
}

/** BuildKit prefers an ignore file of the Dockerfile's own. */
async function ignoreFile(context: string, dockerfile: string): Promise<string> {
  for (const file of [`${dockerfile}.dockerignore`, join(context, ".dockerignore")]) {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return "";
}

/** Files in lexical order, folder by folder. Sockets and the like are no content. */
function* walk(root: string, folder: string, ignore: Ignore): Generator<{ path: string; stats: Stats }> {
  const names = readdirSync(join(root, folder)).sort((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  for (const name of names) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const excluded = ignore.excludes(path);
    if (excluded && !ignore.hasExceptions) continue;
    const stats = lstatSync(join(root, path));
    if (stats.isDirectory()) yield* walk(root, path, ignore);
    else if (!excluded && (stats.isFile() || stats.isSymbolicLink())) yield { path, stats };
  }
}

async function hashFile(file: string, { size, dev, ino, mtimeMs, ctimeMs }: Stats): Promise<Buffer> {
  const state = [size, dev, ino, mtimeMs, ctimeMs].join();
  const before = known.get(file);
  if (before?.state === state) return before.digest;
  const isSettled = Date.now() - ctimeMs > UNSETTLED;
  const hash = createHash("sha256");
  if (size <= SMALL) hash.update(readFileSync(file));
  else await pipeline(createReadStream(file), hash);
  const digest = hash.digest();
  if (isSettled) known.set(file, { state, digest });
  return digest;
}

function hashText(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** What a link leads to, relative as the link's own path is; the bare target where nothing is there. */
async function linkTarget(link: string): Promise<string> {
  try {
    const target = await realpath(link);
    return link.startsWith("/") ? target : relative(process.cwd(), target);
  } catch {
    return readlink(link);
  }
}

/** A mode as Go writes it: `-rwxr-xr-x`, `Lrwxrwxrwx`, with `u`, `g`, `t` in front for setuid, setgid and sticky. */
function goMode(stats: Stats): string {
  const { mode } = stats;
  const flags = `${stats.isSymbolicLink() ? "L" : ""}${mode & 0o4000 ? "u" : ""}${mode & 0o2000 ? "g" : ""}${
    mode & 0o1000 ? "t" : ""
  }`;
  const bits = [..."rwxrwxrwx"].map((letter, index) => (mode & (0o400 >> index) ? letter : "-")).join("");
  return `${flags === "" ? "-" : flags}${bits}`;
}
