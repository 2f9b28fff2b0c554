"use strict";
// Downloads one file and keeps it only if it has the expected hash: `node download.js URL FILE SHA256`. A program of its own, because
// Node reads the proxy's variables (NODE_USE_ENV_PROXY) only when it starts.

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const { Readable, Transform } = require("node:stream");
const { pipeline } = require("node:stream/promises");

/** The Pulumi CLI has 110 MB. */
const MAX_BYTES = 500 * 1024 * 1024;
const TIMEOUT_MS = 9 * 60_000;

/** @returns {Transform} a stream that adds what passes to a hash, and ends with an error beyond MAX_BYTES */
function hashing(hash) {
  let bytes = 0;
  return new Transform({
    transform(chunk, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      done(bytes > MAX_BYTES ? new Error(`it has more than ${MAX_BYTES} bytes`) : null, chunk);
    },
  });
}

async function main([url, file, expected]) {
  const draft = `${file}.partial`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`${url}: status ${response.status}`);
    const hash = createHash("sha256");
    await pipeline(
      Readable.fromWeb(response.body),
      hashing(hash),
      fs.createWriteStream(draft, { mode: 0o600 }),
    );
    const found = hash.digest("hex");
    if (found !== expected)
      throw new Error(`${url} is another file than expected: sha256 ${expected}, found ${found}`);
    fs.renameSync(draft, file);
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
});
