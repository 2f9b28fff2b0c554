"use strict";
// One service of a Pulumi program of its own: pruned, built from the commit, proven, and served behind its own edge.
const pulumi = require("@pulumi/pulumi");
const { FreshService } = require("fresh-deploy/components");

const config = new pulumi.Config();

const api = new FreshService("api", {
  context: "backend",
  port: 8000,
  health: "/healthz",
  listen: config.get("listen") ?? "127.0.0.1:8080",
  env: { LOG_LEVEL: "info" },
});

// The deploy fails before these outputs exist if the address does not serve the commit.
module.exports = {
  url: api.url,
  commit: api.commit,
  digest: api.digest,
  freshness: api.freshness,
};
