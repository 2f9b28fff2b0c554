/** The length of an entry's fixed part before the object's name. */
const FIXED = 40;
/** Modes of a submodule and of a folder in a sparse index. */
const SUBMODULE = 0o160000;
const FOLDER = 0o040000;

/**
 * The paths in git's index, versions 2 to 4. Throws if the format is another one.
 * @param hash the length of an object's name in bytes
 */
export function pathsInIndex(bytes: Buffer, hash: number): string[] {
  if (bytes.toString("latin1", 0, 4) !== "DIRC") throw new Error("not an index");
  const version = bytes.readUInt32BE(4);
  if (version < 2 || version > 4) throw new Error(`an index of version ${version}`);
  const count = bytes.readUInt32BE(8);
  const paths = new Set<string>();
  let at = 12;
  let before: Buffer = Buffer.alloc(0);
  for (let entry = 0; entry < count; entry++) {
    const start = at;
    const mode = bytes.readUInt32BE(start + 24) & 0o170000;
    at += FIXED + hash;
    const isExtended = (bytes.readUInt16BE(at) & 0x4000) !== 0;
    at += isExtended ? 4 : 2;
    let kept = 0;
    if (version === 4) [kept, at] = variableLength(bytes, at);
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new Error("an index that ends in a path");
    const rest = bytes.subarray(at, end);
    const path =
      version === 4 ? Buffer.concat([before.subarray(0, Math.max(0, before.length - kept)), rest]) : rest;
    before = path;
    // Up to version 3, NULs fill each entry up to a multiple of eight.
    at = version === 4 ? end + 1 : start + ((end - start + 8) & ~7);
    if (mode !== SUBMODULE && mode !== FOLDER) paths.add(path.toString("utf8"));
  }
  for (; at + 8 <= bytes.length - hash; at += 8 + bytes.readUInt32BE(at + 4))
    if (bytes.toString("latin1", at, at + 4) === "link") throw new Error("an index in several files");
  return [...paths];
}

/** A number as git writes it in packs, and the position after it. */
function variableLength(bytes: Buffer, start: number): [number, number] {
  let at = start;
  let byte = bytes.readUInt8(at++);
  let value = byte & 0x7f;
  while (byte & 0x80) {
    byte = bytes.readUInt8(at++);
    value = ((value + 1) << 7) | (byte & 0x7f);
  }
  return [value, at];
}
