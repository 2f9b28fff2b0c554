/** Creates a tar archive with one file, the format in which the engine accepts files for a container. */

/** @param path relative to the folder that the archive is unpacked in */
export function tarOf(path: string, content: Buffer, mode: number): Buffer {
  const name = Buffer.from(path.replace(/^\/+/, ""));
  const long = name.length > 100;
  return Buffer.concat([
    // GNU extension: a separate entry before the file contains a name that is too long.
    ...(long
      ? [
          header(Buffer.from("././@LongLink"), name.length + 1, 0o644, "L"),
          padded(Buffer.concat([name, Buffer.alloc(1)])),
        ]
      : []),
    header(name.subarray(0, 100), content.length, mode, "0"),
    padded(content),
    Buffer.alloc(1024),
  ]);
}

function header(name: Buffer, size: number, mode: number, type: string): Buffer {
  const block = Buffer.alloc(512);
  name.copy(block, 0);
  const octal = (value: number, offset: number, length: number): number =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "ascii");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.floor(Date.now() / 1000), 136, 12);
  block.write("        ", 148, "ascii");
  block.write(type, 156, "ascii");
  block.write("ustar  \0", 257, "ascii");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "ascii");
  return block;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
