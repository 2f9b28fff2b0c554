"use strict";
// Two images of one commit, built after a prune: a Pulumi program of its own that uses only the components.
const { execFileSync } = require("node:child_process");
const { BuildCachePrune, FreshImage } = require("fresh-deploy/components");

const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();

// A new commit prunes again. On a server: { server: { connection: { host, user, privateKey, hostKey } } }.
const prune = new BuildCachePrune("prune", { tag: commit, triggers: [commit] });

// No cacheFrom; the commit is a build arg and replaces the image.
const image = (name, more = {}) =>
  new FreshImage(
    name,
    {
      context: `./${name}`,
      commit,
      repository: `app-${name}`,
      ...more,
    },
    { dependsOn: prune },
  );

const frontend = image("frontend", { args: { NODE_OPTIONS: "--max-old-space-size=2048" } });
const backend = image("backend");

module.exports = {
  frontend: frontend.digest,
  backend: backend.digest,
  reclaimed: prune.reclaimed,
};
