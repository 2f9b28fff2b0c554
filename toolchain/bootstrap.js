"use strict";
// From any Node 20 with npm to the project's own Node and packages, then on to main.ts. Plain JavaScript without dependencies:
// it runs before anything is installed.
//
//   node toolchain/bootstrap.js [--packages | --engine] [--quiet] [SCRIPT.ts ARGS…]
//
// --packages stops at Node and the packages; --engine brings a Docker engine too.

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { withLock } = require("./lock");
const { fail, npm, onCurrentNode, step, waiting } = require("./node");

const project = path.dirname(__dirname);
const toolchain = path.resolve(process.env.WATCH_PARTY_TOOLCHAIN || path.join(project, ".toolchain"));
const bin = path.join(toolchain, "bin");

function wantedModules() {
  const lock = fs.readFileSync(path.join(project, "package-lock.json"));
  const major = process.versions.node.split(".")[0];
  return `${crypto.createHash("sha256").update(lock).digest("hex")} node ${major} ${process.platform}-${process.arch}\n`;
}

function modulesReady(wanted) {
  try {
    return fs.readFileSync(path.join(project, "node_modules", ".watch-party-stamp"), "utf8") === wanted;
  } catch {
    return false;
  }
}

/** Whether the user's own npm has installed just what the lockfile says: then it is not done again. */
function installedByHand() {
  const read = (file) => JSON.parse(fs.readFileSync(path.join(project, file), "utf8")).packages;
  try {
    if (fs.existsSync(path.join(project, "node_modules", ".watch-party-stamp"))) return false;
    const locked = read("package-lock.json");
    const present = read("node_modules/.package-lock.json");
    return Object.entries(locked).every(([name, entry]) => {
      if (name === "") return true;
      if (present[name])
        return present[name].integrity === entry.integrity && present[name].version === entry.version;
      return Boolean(entry.optional || entry.devOptional || entry.peer);
    });
  } catch {
    return false;
  }
}

/** Without the packages' install scripts: none is needed, and the Pulumi SDKs' would go looking for their plugins. */
async function installPackages(options) {
  const strict = ["--include=dev", "--ignore-scripts"];
  const exact = await npm(["ci", ...strict], options);
  const complaints = exact.said.match(/^npm error (Missing|Invalid): .*$/gm) ?? [];
  // A mirror may lack packages of other platforms; npm ci then rejects a lockfile that is complete for this one.
  const mirrorOnly =
    complaints.length > 0 && complaints.every((line) => /^npm error Missing: \S+@ from/.test(line));
  return mirrorOnly ? npm(["install", "--no-save", ...strict], options) : exact;
}

async function ensureModules() {
  const wanted = wantedModules();
  if (modulesReady(wanted)) return;
  await withLock(
    toolchain,
    async () => {
      if (modulesReady(wanted)) return;
      if (!installedByHand()) {
        // The current Node first on PATH: packages choose their binaries by the Node that installs them.
        const env = { ...process.env, PATH: bin + path.delimiter + (process.env.PATH ?? "") };
        await step("packages (npm ci)", () => installPackages({ cwd: project, env }));
      }
      fs.writeFileSync(path.join(project, "node_modules", ".watch-party-stamp"), wanted);
    },
    waiting,
  );
}

/** Our own options end where the script's name begins. */
function readArguments(argv) {
  const request = { packages: false, engine: false, quiet: false, script: undefined, args: [] };
  for (const [i, word] of argv.entries()) {
    if (word === "--packages") request.packages = true;
    else if (word === "--engine") request.engine = true;
    else if (word === "--quiet") request.quiet = true;
    else if (word.startsWith("-")) {
      fail(
        `unknown option ${word}`,
        "Usage: node toolchain/bootstrap.js [--packages | --engine] [--quiet] [SCRIPT.ts ARGS…]",
        2,
      );
    } else return { ...request, script: word, args: argv.slice(i + 1) };
  }
  return request;
}

async function start() {
  const request = readArguments(process.argv.slice(2));
  await onCurrentNode(__filename, toolchain);
  await ensureModules();
  require("./program");
  await require("./main.ts").main(request);
}

start().catch((error) => {
  process.stderr.write(`toolchain: ${error.stack}\n`);
  process.exit(1);
});
