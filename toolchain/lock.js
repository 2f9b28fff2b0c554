"use strict";
// Plain JavaScript: bootstrap.js needs it before anything is installed.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const HEARTBEAT_MS = 2_000;
/** A live owner touches its lock every two seconds; this much silence means that it died, on whatever machine. */
const STALE_MS = 60_000;

/** mkdir is the one operation that exactly one of two processes succeeds at. */
function take(lock, token) {
  try {
    fs.mkdirSync(lock);
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
  fs.writeFileSync(path.join(lock, "owner"), token);
  return true;
}

function owner(lock) {
  try {
    return fs.readFileSync(path.join(lock, "owner"), "utf8");
  } catch {
    return "";
  }
}

function isStale(lock, token) {
  let silence;
  try {
    silence = Date.now() - fs.statSync(lock).mtimeMs;
  } catch {
    return false; // released in the meantime
  }
  if (silence > STALE_MS) return true;
  const [host, pid] = token.split(" ");
  if (host !== os.hostname() || !pid) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

/** Moved aside first: of two that see the same stale lock only one can rename it. */
function breakLock(lock, token) {
  const aside = `${lock}.${process.pid}.${Date.now()}`;
  try {
    fs.renameSync(lock, aside);
  } catch {
    return;
  }
  if (owner(aside) !== token) {
    // Someone took the lock between the look and the rename: give it back.
    try {
      fs.renameSync(aside, lock);
    } catch {
      // A third one has it now.
    }
    return;
  }
  fs.rmSync(aside, { recursive: true, force: true });
}

/** Runs `work` while no other process works in `folder`; a lock whose owner has died is taken over. */
async function withLock(folder, work, waiting = () => {}) {
  fs.mkdirSync(folder, { recursive: true });
  const lock = path.join(folder, "lock");
  const token = `${os.hostname()} ${process.pid} ${Math.random().toString(36).slice(2)}`;
  for (let told = false; !take(lock, token); ) {
    const holder = owner(lock);
    if (isStale(lock, holder)) {
      breakLock(lock, holder);
      continue;
    }
    if (!told) waiting(holder.split(" ")[1] ?? "");
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    fs.utimes(lock, now, now, () => {});
  }, HEARTBEAT_MS);
  const release = () => {
    if (owner(lock) === token) fs.rmSync(lock, { recursive: true, force: true });
  };
  process.once("exit", release);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    process.removeListener("exit", release);
    release();
  }
}

module.exports = { withLock };
