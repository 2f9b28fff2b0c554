import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { zip } from "../freshness/sure";
import { gitBytes, gitStream } from "./git";

/** Maximum size of a file kept in memory, as long as all of them fit. */
const SMALL = 256 * 1024;
const MOST_IN_MEMORY = 64 * 1024 ** 2;
/** Maximum size of a file that is read as text: a Dockerfile, a manifest. */
export const LARGEST_TEXT = 16 * 1024 ** 2;

/** Location of an object's content outside memory. */
type Place = { readonly repository: string } | { readonly file: string; readonly size: number };

/** Contents of a commit's files, by hash: small ones in memory, large ones by location. */
export class Objects {
  private readonly contents = new Map<string, Buffer>();
  private readonly places = new Map<string, Place>();
  private readonly sizes = new Map<string, number>();
  private inMemory = 0;

  /** Content of an object in memory. */
  get(hash: string): Buffer | undefined {
    return this.contents.get(hash);
  }

  /** Size in bytes; undefined for an unknown object. */
  size(hash: string): number | undefined {
    return this.sizes.get(hash);
  }

  /** Adds a content from memory. */
  set(hash: string, content: Buffer): void {
    this.contents.set(hash, content);
    this.sizes.set(hash, content.length);
  }

  /** Adds a content in a file of this machine. */
  setFile(hash: string, file: string, size: number): void {
    this.places.set(hash, { file, size });
    this.sizes.set(hash, size);
  }

  /**
   * Reads a repository's objects: sizes of all, contents of small ones. They stay as stored: no filter or attribute
   * (export-ignore, eol, ident) changes a byte.
   *
   * @throws Error for a missing object
   */
  async read(repository: string, wanted: Iterable<string>): Promise<void> {
    const hashes = [...new Set(wanted)].filter((hash) => !this.sizes.has(hash));
    if (hashes.length === 0) return;
    const check = ["cat-file", "--batch-check", "--buffer"];
    const sizes = parseSizes(await gitBytes(repository, check, { input: lines(hashes) }), hashes);
    const small = [...sizes].filter(([hash, size]) => {
      this.sizes.set(hash, size);
      this.places.set(hash, { repository });
      if (size > SMALL || this.inMemory + size > MOST_IN_MEMORY) return false;
      this.inMemory += size;
      return true;
    });
    await this.bring(
      repository,
      small.map(([hash]) => hash),
    );
  }

  /** Loads objects that are needed as text into memory; skips those that are too large for one. */
  async need(repository: string, wanted: Iterable<string>): Promise<void> {
    const missing = [...new Set(wanted)].filter(
      (hash) => !this.contents.has(hash) && (this.sizes.get(hash) ?? 0) <= LARGEST_TEXT,
    );
    await this.bring(repository, missing);
  }

  private async bring(repository: string, hashes: readonly string[]): Promise<void> {
    if (hashes.length === 0) return;
    const output = await gitBytes(repository, ["cat-file", "--batch", "--buffer"], { input: lines(hashes) });
    const contents = parseBatch(output, hashes);
    for (const [hash, content] of zip(hashes, contents)) this.contents.set(hash, content);
  }

  /**
   * Writes objects from outside memory into new files.
   *
   * @throws Error if a content does not match its hash
   */
  async write(files: readonly { readonly hash: string; readonly file: string }[]): Promise<void> {
    const byRepository = new Map<string, { hash: string; file: string }[]>();
    for (const { hash, file } of files) {
      const place = this.places.get(hash);
      if (place === undefined) throw new Error(`git object ${hash} is missing`);
      if ("file" in place) {
        await writeChecked(hash, place.size, file, createReadStream(place.file));
        continue;
      }
      const own = byRepository.get(place.repository);
      if (own) own.push({ hash, file });
      else byRepository.set(place.repository, [{ hash, file }]);
    }
    for (const [repository, own] of byRepository) {
      const batch = await gitStream(
        repository,
        ["cat-file", "--batch", "--buffer"],
        lines(own.map(({ hash }) => hash)),
      );
      try {
        const read = new BatchReader(batch.output);
        for (const { hash, file } of own) {
          const size = sizeIn(await read.line(), hash);
          await writeChecked(hash, size, file, read.bytes(size));
          await read.line();
        }
        await batch.done;
      } catch (cause) {
        batch.end();
        await batch.done.then(undefined, () => undefined); // Either it was killed here, or it is the failure.
        throw cause;
      }
    }
  }
}

function lines(hashes: readonly string[]): string {
  return `${hashes.join("\n")}\n`;
}

/** Git's ID of a content, hashed from a stream. */
export function blobHash(like: string, size: number) {
  return createHash(like.length === 64 ? "sha256" : "sha1").update(`blob ${size}\0`);
}

/** Git's ID of a content in memory. */
export function blobId(like: string, content: Uint8Array): string {
  return blobHash(like, content.length).update(content).digest("hex");
}

/** Whether a file has the content of an object; reads it as a stream. */
export async function hasContent(file: string, hash: string, size: number): Promise<boolean> {
  const found = blobHash(hash, size);
  for await (const chunk of createReadStream(file)) found.update(chunk);
  return found.digest("hex") === hash;
}

async function writeChecked(
  hash: string,
  size: number,
  file: string,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const found = blobHash(hash, size);
  async function* hashed() {
    for await (const chunk of content) {
      found.update(chunk);
      yield chunk;
    }
  }
  await pipeline(hashed(), createWriteStream(file, { flags: "wx" }));
  if (found.digest("hex") !== hash) throw new Error(`git object ${hash} is damaged: run "git fsck"`);
}

/** `HASH blob SIZE` */
function sizeIn(header: string, hash: string): number {
  const size = Number(header.split(" ")[2]);
  if (!Number.isInteger(size)) throw new Error(`git object ${hash} is missing: ${header}`);
  return size;
}

function parseSizes(output: Buffer, hashes: readonly string[]): Map<string, number> {
  const said = output.toString("utf8").split("\n");
  return new Map(hashes.map((hash, at) => [hash, sizeIn(said[at] ?? "", hash)]));
}

/** Splits the output of `git cat-file --batch` into the objects' contents, in the order of the request. */
export function parseBatch(bytes: Buffer, hashes: readonly string[]): Buffer[] {
  let at = 0;
  return hashes.map((hash) => {
    const end = bytes.indexOf(10, at);
    const size = sizeIn(bytes.toString("utf8", at, end < 0 ? bytes.length : end), hash);
    const content = bytes.subarray(end + 1, end + 1 + size);
    at = end + 1 + size + 1;
    return content;
  });
}

/** Reads the output of `git cat-file --batch` from a stream. */
class BatchReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private buffer: Buffer = Buffer.alloc(0);

  constructor(output: AsyncIterable<Buffer>) {
    this.chunks = output[Symbol.asyncIterator]();
  }

  private async more(): Promise<boolean> {
    const next = await this.chunks.next();
    if (next.done) return false;
    this.buffer = this.buffer.length === 0 ? next.value : Buffer.concat([this.buffer, next.value]);
    return true;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.buffer.indexOf(10);
      if (end >= 0) {
        const line = this.buffer.toString("utf8", 0, end);
        this.buffer = this.buffer.subarray(end + 1);
        return line;
      }
      if (!(await this.more())) return this.buffer.toString("utf8");
    }
  }

  /** Returns the next bytes as they come. */
  async *bytes(size: number): AsyncGenerator<Buffer> {
    let left = size;
    while (left > 0) {
      if (this.buffer.length === 0 && !(await this.more()))
        throw new Error("git cat-file ended in the middle of an object");
      const chunk = this.buffer.subarray(0, left);
      this.buffer = this.buffer.subarray(chunk.length);
      left -= chunk.length;
      yield chunk;
    }
  }
}
