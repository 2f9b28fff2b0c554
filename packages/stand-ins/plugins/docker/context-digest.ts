/**
 * The digest that detects a change of the build context. It covers names, modes and contents of the files that are not
 * ignored, but no times. The algorithm is the official plugin's, so that the state is interchangeable.
 */

import { createHash } from "node:crypto";
import { createReadStream, lstatSync, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { readFile, readlink, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Ignore, parseDockerignore } from "./dockerignore";

/**
 * Maximum size in bytes of a file that is read at once. A stream for each of thousands of source files takes seconds.
 */
const SMALL = 1024 ** 2;
/**
 * Milliseconds after a change during which another change can leave the same times: the kernel's clock has ticks of up
 * to 10 ms.
 */
const UNSETTLED = 50;

/**
 * File → its digest, and its times when it was read. A deploy requests the digest four times for two images of one
 * context.
 */
const known = new Map<string, { readonly state: string; readonly digest: Buffer }>();

/** The digest of a context folder and its Dockerfile, which can be outside the folder. */
export async function contextDigest(context: string, dockerfile: string): Promise<string> {
  const total = createHash("sha256");
  const add = (name: string, mode: string, digest: Buffer): void => {
    total.update(name).update(mode).update(digest).update("\0");
  };
  // A fixed name, because the name of the file does not affect the build.
  add("Dockerfile", "----------", await hashFile(dockerfile, statSync(dockerfile)));
  const ignore = parseDockerignore(await ignoreFile(context, dockerfile));
  for (const { path, stats } of walk(context, "", ignore)) {
    const full = join(context, path);
    const digest = stats.isSymbolicLink() ? hashText(await linkTarget(full)) : await hashFile(full, stats);
    add(path, goMode(stats), digest);
  }
  return total.digest("hex");
}

/** BuildKit prefers the Dockerfile's own ignore file. */
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

/** Files in lexical order, folder by folder. Skips sockets and other special files. */
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

/** The target of a link, relative in the same way as the link's own path. The bare target if it does not exist. */
async function linkTarget(link: string): Promise<string> {
  try {
    const target = await realpath(link);
    return link.startsWith("/") ? target : relative(process.cwd(), target);
  } catch {
    return readlink(link);
  }
}

/**
 * A mode in Go's notation: `-rwxr-xr-x`, `Lrwxrwxrwx`, with the prefixes `u`, `g`, `t` for setuid, setgid and sticky.
 */
function goMode(stats: Stats): string {
  const { mode } = stats;
  const flags = `${stats.isSymbolicLink() ? "L" : ""}${mode & 0o4000 ? "u" : ""}${mode & 0o2000 ? "g" : ""}${
    mode & 0o1000 ? "t" : ""
  }`;
  const bits = [..."rwxrwxrwx"].map((letter, index) => (mode & (0o400 >> index) ? letter : "-")).join("");
  return `${flags === "" ? "-" : flags}${bits}`;
}
