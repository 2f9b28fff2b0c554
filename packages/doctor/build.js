// Bundles the package and all that it needs into dist/doctor.js: node packages/doctor/build.js [FOLDER]
const { chmodSync } = require("node:fs");
const { join, resolve } = require("node:path");
const { buildSync } = require("esbuild");

const folder = process.argv[2] ? resolve(process.argv[2]) : join(__dirname, "dist");
const outfile = join(folder, "doctor.js");
buildSync({
  entryPoints: [join(__dirname, "main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  minify: true,
  legalComments: "none",
  logLevel: "error",
  // Node caches the compiled code.
  banner: { js: "#!/usr/bin/env node\nrequire('node:module').enableCompileCache?.();" },
});
chmodSync(outfile, 0o755);
