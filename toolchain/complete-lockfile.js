"use strict";
// After `npm install` against a registry that lacks packages of other platforms, package-lock.json lacks them too, and `npm ci`
// rejects it everywhere. This adds them, from what the lockfile's own entries ask for:
//
//   node toolchain/complete-lockfile.js [--check]

const fs = require("node:fs");
const path = require("node:path");

const SYSTEMS = "aix android darwin freebsd linux netbsd openbsd openharmony sunos win32".split(" ");
const PROCESSORS = "arm arm64 ia32 loong64 mips64el ppc64 riscv64 s390x wasm32 x64".split(" ");

/** Where Node would find a package from there. */
function find(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(at.lastIndexOf("/node_modules/"), 0))) {
    const key = at ? `${at}/node_modules/${name}` : `node_modules/${name}`;
    if (packages[key]) return key;
    if (!at) return undefined;
  }
}

/** A platform package's entry: its name says what it is for. */
function entryOf(name, version, dev) {
  const words = name.split(/[/-]/);
  const os = SYSTEMS.filter((system) => words.includes(system));
  const cpu = PROCESSORS.filter((processor) => words.includes(processor));
  const libc = words.some((word) => word.startsWith("musl"))
    ? ["musl"]
    : words.some((word) => word.startsWith("gnu"))
      ? ["glibc"]
      : [];
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc.length > 0 && { libc }),
    optional: true,
    ...(os.length > 0 && { os }),
  };
}

const file = path.join(__dirname, "..", "package-lock.json");
const lock = JSON.parse(fs.readFileSync(file, "utf8"));
const missing = {};
for (const [key, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    // Platform packages are asked for by exact version; of a range only the registry can say what it means.
    if (/^\d/.test(version) && !find(lock.packages, key, name))
      missing[`node_modules/${name}`] = entryOf(name, version, entry.dev);
  }
}
const names = Object.keys(missing);
process.stderr.write(`package-lock.json: ${names.length} platform packages missing\n`);
if (process.argv.includes("--check")) process.exit(names.length > 0 ? 1 : 0);
if (names.length > 0) {
  const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1));
  fs.writeFileSync(
    file,
    `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, undefined, 2)}\n`,
  );
}
