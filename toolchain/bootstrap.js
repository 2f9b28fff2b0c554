"use strict";
// From any Node 20 with npm to the project's own Node and packages, then on to main.ts. Plain JavaScript without dependencies:
// it runs before anything is installed.
//
//   node toolchain/bootstrap.js [--packages | --engine] [--quiet] [SCRIPT.ts ARGS…]
//
// --packages stops at Node and the packages; --engine brings a Docker engine too.

const { spawn } = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { wrongPackage } = require("./checksums");
const { withLock } = require("./lock");

const NODE_VERSION = "24.21.0";
const project = path.dirname(__dirname);
const toolchain = path.resolve(process.env.WATCH_PARTY_TOOLCHAIN || path.join(project, ".toolchain"));
const bin = path.join(toolchain, "bin");

/** From 22.12 on a CommonJS program can load ES modules, which some packages are; the SDK wants 22. */
function isCurrent(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 12);
}

function fail(message, remedy, exitCode = 1, details = "") {
  // npm says first what is wrong, then how it is used.
  const rest = details.trim() && `\n${details.trim().split("\n").slice(0, 15).join("\n")}\n`;
  process.stderr.write(`toolchain: ${message}\n  ${remedy}\n${rest}`);
  process.exit(exitCode);
}

/** Runs npm, its output kept for the error. */
function npm(args, options = {}) {
  return new Promise((resolve) => {
    let said = "";
    const child = spawn("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        said += chunk;
      });
    }
    child.on("error", (error) =>
      resolve({ ok: false, said: error.message, missing: error.code === "ENOENT" }),
    );
    child.on("close", (code) => resolve({ ok: code === 0, said, missing: false }));
  });
}

function npmRemedy(said) {
  if (said.includes("EUSAGE"))
    return "Run npm install, so that package-lock.json agrees with package.json again.";
  return "Let this machine reach npm's registry, then run again.";
}

async function step(title, work) {
  const started = performance.now();
  process.stderr.write(`toolchain: ${title} …\n`);
  const result = await work();
  if (result.missing)
    fail("npm is missing", "Install npm (it comes with Node: https://nodejs.org), then run again.", 2);
  if (!result.ok) fail(`${title} failed`, npmRemedy(result.said), 1, result.said);
  process.stderr.write(
    `toolchain: ${title}: ready (${((performance.now() - started) / 1000).toFixed(1)} s)\n`,
  );
}

function waiting(owner) {
  process.stderr.write(`toolchain: waiting for process ${owner}, at the same work\n`);
}

/** Links .toolchain/bin/node to the Node in use, so that pulumi's language host and the plugins run on it too. */
function linkNode(target) {
  const link = path.join(bin, "node");
  try {
    if (fs.realpathSync(link) === fs.realpathSync(target)) return;
  } catch {
    // None yet, or one that leads nowhere.
  }
  fs.mkdirSync(bin, { recursive: true });
  const draft = `${link}.${process.pid}`;
  fs.symlinkSync(target, draft);
  fs.renameSync(draft, link);
}

/** The path of a current Node: this one, or the project's own. */
async function currentNode() {
  if (isCurrent(process.versions.node)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = path.join(toolchain, "node");
  const installed = path.join(folder, "node_modules", name);
  const program = path.join(installed, "bin", "node");
  const wrong = () => wrongPackage(folder, [`${name}@${NODE_VERSION}`]);
  const ready = () => fs.existsSync(program) && wrong() === undefined;
  if (!ready()) {
    await withLock(
      toolchain,
      async () => {
        if (ready()) return;
        fs.mkdirSync(folder, { recursive: true });
        await step(`Node ${NODE_VERSION} (this is ${process.versions.node})`, () =>
          npm(["install", "--prefix", folder, "--no-save", "--ignore-scripts", `${name}@${NODE_VERSION}`]),
        );
        const problem = wrong();
        if (problem) fail(problem, "Install Node 22.12 or later (https://nodejs.org), then run again.");
      },
      waiting,
    );
  }
  return program;
}

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

/** The same again under a current Node; signals go on to it, its end is ours. */
function handOver(node) {
  const child = spawn(node, [__filename, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends its signals to both; the child decides, and we stay to tell its exit status.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) =>
    fail(`cannot run ${node}: ${error.message}`, `Remove ${toolchain} and run again.`),
  );
  child.on("close", (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else process.exit(code ?? 1);
  });
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
  if (Number(process.versions.node.split(".")[0]) < 20) {
    fail(`Node ${process.versions.node} is too old`, "Install Node 20 or later (https://nodejs.org).", 2);
  }
  const node = await currentNode();
  linkNode(node);
  if (node !== process.execPath) return handOver(node);
  await ensureModules();
  require("./program");
  await require("./main.ts").main(request);
}

start().catch((error) => {
  process.stderr.write(`toolchain: ${error.stack}\n`);
  process.exit(1);
});
