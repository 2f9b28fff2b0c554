import { createHash } from "node:crypto";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { Files, ImageFile } from "../freshness/files";

export type Bytes = AsyncIterable<Uint8Array>;

/** The hash algorithm of a git repository. */
export type GitHash = "sha1" | "sha256";

export interface TarEntry {
  readonly name: string;
  /** `hard`: a hard link to an earlier entry. `other`: a folder, a device. */
  readonly kind: "file" | "link" | "hard" | "other";
  /** Target of a link. */
  readonly target: string;
  readonly mode: number;
  readonly size: number;
  /** The content. Read it once, before the next entry. */
  readonly body: Bytes;
}

/** Maximum size of a header or a document such as a saved image's list of layers. */
const MOST = { header: 1024 ** 2, document: 64 * 1024 ** 2, text: 1024 ** 2 };

/** Reads a tar archive (ustar, PAX, GNU long names) from a stream to its end. */
export async function* readTar(input: Bytes): AsyncGenerator<TarEntry> {
  const source = new Source(input);
  let extended: Record<string, string> = {};
  for (;;) {
    const header = await source.take(512);
    if (header === undefined || header.every((byte) => byte === 0)) break;
    const size = Number(extended.size ?? numberAt(header, 124, 12));
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("the archive has an entry of invalid size");
    const type = String.fromCharCode(header.readUInt8(156));
    const rest = { left: size };
    const body = source.part(rest);
    if ("xgLK".includes(type)) {
      const content = await collect(body, MOST.header);
      // Docker writes no names or sizes in a global header (g).
      if (type === "x") extended = { ...extended, ...records(content) };
      if (type === "L") extended = { ...extended, path: textAt(content, 0, content.length) };
      if (type === "K") extended = { ...extended, linkpath: textAt(content, 0, content.length) };
    } else {
      const prefix = textAt(header, 257, 6) === "ustar" ? textAt(header, 345, 155) : "";
      const name = textAt(header, 0, 100);
      yield {
        name: extended.path ?? (prefix === "" ? name : `${prefix}/${name}`),
        kind: type === "2" ? "link" : type === "1" ? "hard" : "07\0".includes(type) ? "file" : "other",
        target: extended.linkpath ?? textAt(header, 157, 100),
        mode: numberAt(header, 100, 8),
        size,
        body,
      };
      extended = {};
    }
    rest.left += (512 - (size % 512)) % 512;
    for await (const _ of source.part(rest));
    if (rest.left > 0) throw new Error("the archive ends in the middle of an entry");
  }
  // Read the rest: a command that still writes would fail.
  for await (const _ of source.part({ left: Number.POSITIVE_INFINITY }));
}

/** Returns the git object ID of a content. */
function gitHash(algorithm: GitHash, size: number): { update(chunk: Uint8Array): void; id(): string } {
  const hash = createHash(algorithm).update(`blob ${size}\0`);
  return { update: (chunk) => void hash.update(chunk), id: () => hash.digest("hex") };
}

/** The git object ID of a file with these bytes. */
export function blobId(bytes: Uint8Array): string {
  const hash = gitHash("sha1", bytes.length);
  hash.update(bytes);
  return hash.id();
}

/**
 * Hashes the files and links of an archive while reading it.
 *
 * @param rename returns undefined for unwanted files
 * @param texts receives the contents of the files with these names
 */
export async function hashTar(
  input: Bytes,
  algorithm: GitHash,
  rename: (name: string) => string | undefined = (name) => name,
  texts: Map<string, string | undefined> = new Map(),
): Promise<Map<string, ImageFile>> {
  const files = new Map<string, ImageFile>();
  const renamed = (name: string) => rename(name.replace(/^(\.?\/)+/, "").replace(/\/+$/, ""));
  for await (const { name, kind, target, mode, size, body } of readTar(input)) {
    const path = renamed(name);
    if (path === undefined || kind === "other") continue;
    if (kind === "hard") {
      const first = files.get(renamed(target) ?? "");
      if (first) files.set(path, first);
    } else if (kind === "link") {
      const bytes = Buffer.from(target);
      const hash = gitHash(algorithm, bytes.length);
      hash.update(bytes);
      files.set(path, { kind: "link", hash: hash.id(), executable: false, target });
    } else {
      const hash = gitHash(algorithm, size);
      const isText = texts.has(path) && size <= MOST.text;
      const chunks = isText ? [await collect(body, MOST.text)] : body;
      for await (const chunk of chunks) hash.update(chunk);
      if (Array.isArray(chunks)) texts.set(path, chunks.join(""));
      files.set(path, { kind: "file", hash: hash.id(), executable: (mode & 0o111) !== 0 });
    }
  }
  return files;
}

/** Reads `docker image save` in Docker's and the OCI's layout: JSON documents and layers. */
export async function readSaved(
  output: Bytes,
  algorithm: GitHash,
): Promise<{ documents: Map<string, string>; archives: Map<string, Files> }> {
  const documents = new Map<string, string>();
  const archives = new Map<string, Files>();
  const links: [string, string][] = [];
  for await (const entry of readTar(output)) {
    if (entry.kind === "link") links.push([entry.name, posix.join(posix.dirname(entry.name), entry.target)]);
    if (entry.kind !== "file" || entry.size === 0) continue;
    const { start, body } = await peek(entry);
    const isJson = (start[0] === 0x7b || start[0] === 0x5b) && entry.size <= MOST.document;
    if (isJson) documents.set(entry.name, (await collect(body, MOST.document)).toString());
    else if (/(^|\/)(VERSION|repositories|oci-layout)$/.test(entry.name)) continue;
    else archives.set(entry.name, await hashTar(decompressed(start, body), algorithm));
  }
  for (const [name, target] of links) {
    const files = archives.get(target);
    if (files) archives.set(name, files);
  }
  return { documents, archives };
}

async function peek({ body }: Pick<TarEntry, "body">): Promise<{ start: Uint8Array; body: Bytes }> {
  const chunks = body[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  while (start.length < 4) {
    const { done, value } = await chunks.next();
    if (done) break;
    start = Buffer.concat([start, value]);
  }
  async function* whole() {
    yield start;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return { start, body: whole() };
}

function decompressed(start: Uint8Array, body: Bytes): Bytes {
  if (start[0] === 0x1f && start[1] === 0x8b) return through(body, createGunzip());
  if (start[0] === 0x28 && start[1] === 0xb5) return through(body, createZstdDecompress());
  return body;
}

function through(body: Bytes, transform: NodeJS.ReadWriteStream): Bytes {
  Readable.from(body)
    .on("error", (cause) => transform.emit("error", cause))
    .pipe(transform);
  return transform as unknown as Bytes;
}

/** @throws Error if the content is longer */
export async function collect(body: Bytes, most = MOST.document): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > most) throw new Error(`the archive holds more than ${most} bytes, expected a text file`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads a stream in parts. */
class Source {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private buffer: Uint8Array = Buffer.alloc(0);

  constructor(input: Bytes) {
    this.chunks = input[Symbol.asyncIterator]();
  }

  /** Returns exactly that many bytes, or undefined at the end. */
  async take(size: number): Promise<Buffer | undefined> {
    const taken = await collect(this.part({ left: size }));
    if (taken.length > 0 && taken.length < size)
      throw new Error("the archive ends in the middle of an entry");
    return taken.length === 0 ? undefined : taken;
  }

  /** Returns the next bytes as they come; `rest` counts the remaining ones. */
  async *part(rest: { left: number }): AsyncGenerator<Uint8Array> {
    while (rest.left > 0) {
      if (this.buffer.length === 0) {
        const next = await this.chunks.next();
        if (next.done) return;
        this.buffer = next.value;
      }
      const chunk = this.buffer.subarray(0, rest.left);
      this.buffer = this.buffer.subarray(chunk.length);
      rest.left -= chunk.length;
      yield chunk;
    }
  }
}

function textAt(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, end < 0 ? at + length : Math.min(end, at + length));
}

/** Reads an octal number, or GNU's binary form for large ones. */
function numberAt(header: Buffer, at: number, length: number): number {
  if (header.readUInt8(at) & 0x80) return Number(header.readBigUInt64BE(at + length - 8));
  return Number.parseInt(textAt(header, at, length).trim() || "0", 8);
}

/** The PAX records in use. */
const USED = new Set(["path", "linkpath", "size"]);

/**
 * PAX records: `LENGTH KEY=VALUE
 * `.
 */
function records(content: Buffer): Record<string, string> {
  const found: Record<string, string> = Object.create(null);
  for (let at = 0; at < content.length; ) {
    const length = Number.parseInt(content.toString("latin1", at, at + 12), 10);
    if (!(length > 0)) break;
    const record = content.toString("utf8", at, at + length - 1);
    const [, key, value] = /^\d+ ([^=]*)=([\s\S]*)$/.exec(record) ?? [];
    if (key !== undefined && value !== undefined && USED.has(key)) found[key] = value;
    at += length;
  }
  return found;
}
