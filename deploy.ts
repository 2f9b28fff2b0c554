import program = require("./index");

export type {
  AccessoryConfig,
  RegistryConfig,
  ServerConfig,
  ServiceConfig,
} from "./config/types";

/**
 * Deploys the stack's app, as its configuration describes it, and proves that the commit is served. Call it once, as the
 * program of a Pulumi project: `module.exports = deploy();`.
 *
 * @returns the outputs of the stack: url, commit, images, freshness (the certificate), pruned, seconds
 */
export const deploy = program;
