import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { wrongPackage } from "../../../toolchain/checksums";
import { ToolchainError } from "../../../toolchain/errors";
import type { Paths } from "../../../toolchain/paths";
import { run } from "../../../toolchain/run";
import { versions } from "../../../toolchain/versions";
import { architecture, commit, type Engine } from "./docker";

/** As in the official image: passes an option or an unknown word to node, and runs anything else as a command. */
const entrypoint = `#!/bin/sh
set -e
if [ "\${1#-}" != "\${1}" ] || [ -z "$(command -v "\${1}")" ] || { [ -f "\${1}" ] && ! [ -x "\${1}" ]; }; then
  set -- node "$@"
fi
exec "$@"
`;

const links = `
ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
ln -sf /usr/local/bin/node /usr/local/bin/nodejs
groupadd --gid 1000 node
useradd --uid 1000 --gid node --shell /bin/bash --create-home node
node --version && npm --version
`;

/** node:24-bookworm-slim: Node and npm from the npm registry, in the layout of the official image. */
export async function makeNode(at: Paths, engine: Engine): Promise<void> {
  const folder = mkdtempSync(join(at.tmp, "node-"));
  try {
    const node = `node-linux-${architecture().npm}`;
    const packages = [`${node}@${versions.node}`, `npm@${versions.npm}`];
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--force"];
    await run("npm", ["install", "--prefix", folder, ...quiet, ...packages], {
      what: `npm install ${packages.join(" ")}`,
      remedy: "Let this machine reach npm's registry, then run again.",
    });
    const problem = wrongPackage(folder, packages);
    if (problem) throw new ToolchainError(problem, "Let this machine reach npm's registry, then run again.");
    const root = join(folder, "root");
    mkdirSync(join(root, "usr/local/bin"), { recursive: true });
    cpSync(join(folder, "node_modules", node, "bin/node"), join(root, "usr/local/bin/node"));
    cpSync(join(folder, "node_modules/npm"), join(root, "usr/local/lib/node_modules/npm"), {
      recursive: true,
    });
    writeFileSync(join(root, "usr/local/bin/docker-entrypoint.sh"), entrypoint);
    for (const name of ["node", "docker-entrypoint.sh"]) chmodSync(join(root, "usr/local/bin", name), 0o755);
    await commit(engine, {
      from: "debian:bookworm-slim",
      to: "node:24-bookworm-slim",
      files: root,
      script: links,
      changes: [`ENV NODE_VERSION=${versions.node}`, 'ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["node"]'],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
