import type { Readable } from "node:stream";

/** Maximum size of a log that is kept: a line can have any length. */
const KEPT_BYTES = 256 * 1024;
const HEADER_BYTES = 8;

/**
 * Reads a log stream: frames of standard output and error, each after a header with stream and length
 * (https://docs.docker.com/reference/api/engine, "Attach to a container"). A container with a terminal sends
 * no headers.
 *
 * @returns the last lines
 */
export async function logText(answer: Readable): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const chunk of answer) {
    kept = Buffer.concat([kept, chunk as Buffer]);
    // Skipped data is cut at frame borders.
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
  return (
    bytes.length >= HEADER_BYTES &&
    bytes.readUInt8(0) <= 2 &&
    bytes[1] === 0 &&
    bytes[2] === 0 &&
    bytes[3] === 0
  );
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
