"use strict";
// The Node that runs this program: the user's if it is current, else one from npm. Plain JavaScript without dependencies, for any
// Node 20: it runs before anything is installed.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { wrongPackage } = require("./checksums");
const { withLock } = require("./lock");

const NODE_VERSION = "24.21.0";

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
function linkNode(target, toolchain) {
  const bin = path.join(toolchain, "bin");
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
async function currentNode(toolchain) {
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

/** The same again under a current Node; signals go on to it, its end is ours. */
function handOver(node, file, toolchain) {
  const child = spawn(node, [file, ...process.argv.slice(2)], { stdio: "inherit" });
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

/** Goes on under a current Node; resolves only in a process that is one. */
async function onCurrentNode(file, toolchain) {
  if (Number(process.versions.node.split(".")[0]) < 20)
    fail(`Node ${process.versions.node} is too old`, "Install Node 20 or later (https://nodejs.org).", 2);
  const node = await currentNode(toolchain);
  linkNode(node, toolchain);
  if (node === process.execPath) return;
  handOver(node, file, toolchain);
  await new Promise(() => {});
}

module.exports = { fail, npm, onCurrentNode, step, waiting };
