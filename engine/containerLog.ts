import type { Readable } from "node:stream";

/** More of a log is not kept: a line can be as long as a program likes. */
const KEPT_BYTES = 256 * 1024;
const HEADER_BYTES = 8;

/**
 * Reads a log as the engine sends it: parts of standard output and error, each behind a header of its stream and its length
 * (https://docs.docker.com/reference/api/engine, "Attach to a container"). A container with a terminal has none.
 *
 * @returns the last of it
 */
export async function logText(answer: Readable): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const chunk of answer) {
    kept = Buffer.concat([kept, chunk as Buffer]);
    // The frames that are passed over are cut at their borders.
    while (kept.length > KEPT_BYTES && isFramed(kept)) {
      const length = HEADER_BYTES + kept.readUInt32BE(4);
      if (length >= kept.length) break;
      kept = kept.subarray(length);
    }
    if (!isFramed(kept) && kept.length > KEPT_BYTES) kept = kept.subarray(-KEPT_BYTES);
  }
  return isFramed(kept) ? unframed(kept) : kept.toString();
}

function isFramed(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && bytes[0]! <= 2 && bytes[1] === 0 && bytes[2] === 0 && bytes[3] === 0;
}

function unframed(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 4);
    parts.push(bytes.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(parts).toString();
}
