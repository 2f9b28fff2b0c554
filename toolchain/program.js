"use strict";
// Preloaded before the Pulumi program (`nodeargs` in Pulumi.yaml) and the project's own commands: a TypeScript entry is loaded as
// one file of JavaScript, which esbuild makes of it and of all that it imports. Reading two hundred files and stripping the types
// of each costs a third of the program's start; a deploy runs it twice.
//
// The file made last is taken where each file that it was made from still has the same content.

const crypto = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

require("./sdk");

const project = path.dirname(fs.realpathSync(__dirname));
const cache = path.join(project, "node_modules", ".cache", "watch-party");

// The SDK too is compiled once. NODE_COMPILE_CACHE, where it is set, has said so already.
Module.enableCompileCache?.();

Module._extensions[".ts"] = (module, filename) => {
  // Under the entry's own name: what it finds by its folder it finds as it lies on disk.
  module._compile(fs.readFileSync(bundled(fs.realpathSync(filename)), "utf8"), filename);
};

/** The path of the JavaScript that a TypeScript entry and its imports make. */
function bundled(entry) {
  const name = `${path.basename(entry, ".ts")}-${hashOf(entry)}`;
  const list = path.join(cache, `${name}.json`);
  try {
    const { file, inputs } = JSON.parse(fs.readFileSync(list, "utf8"));
    if (inputs.every(([input, hash]) => hashOf(fs.readFileSync(path.join(project, input))) === hash))
      return file;
  } catch {
    // None yet, or a file that it was made from is gone.
  }
  const began = Date.now();
  const { outputFiles, metafile } = withoutConfiguration(() =>
    require("esbuild").buildSync({
      entryPoints: [entry],
      absWorkingDir: project,
      bundle: true,
      platform: "node",
      target: "node22",
      minifySyntax: true,
      minifyWhitespace: true,
      // The language host has the SDK loaded; there must be one of it. The others have parts that are no JavaScript.
      external: ["@pulumi/*", "esbuild", "@swc/*", "@swc-node/*"],
      write: false,
      metafile: true,
      logLevel: "silent",
    }),
  );
  const file = path.join(cache, `${name}-${hashOf(outputFiles[0].contents)}.js`);
  const made = [...Object.keys(metafile.inputs), "tsconfig.json"];
  const inputs = made.map((input) => [input, hashOf(fs.readFileSync(path.join(project, input)))]);
  fs.mkdirSync(cache, { recursive: true });
  replace(file, outputFiles[0].contents);
  // What was written meanwhile may be in the file or not: the next run makes it again.
  const isSettled = made.every((input) => fs.statSync(path.join(project, input)).mtimeMs < began);
  if (isSettled) replace(list, JSON.stringify({ file, inputs }));
  return file;
}

/** Runs something that starts a program, which must not inherit the stack's configuration, passphrase and keys. */
function withoutConfiguration(run) {
  const kept = Object.entries(process.env).filter(([name]) => /^(PULUMI|WATCH_PARTY)_/.test(name));
  for (const [name] of kept) delete process.env[name];
  try {
    return run();
  } finally {
    Object.assign(process.env, Object.fromEntries(kept));
  }
}

/** Written beside and renamed: two deploys may do this at once. */
function replace(file, content) {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, content);
  fs.renameSync(draft, file);
}

function hashOf(content) {
  return crypto.createHash("sha256").update(content).digest("hex").slice(0, 16);
}
