/**
 * The stand-ins of packages/stand-ins, loaded only where they are used: the npm package does not ship them, and with the official
 * downloads no code of theirs runs.
 */

export function standInImages(): typeof import("../packages/stand-ins/images") {
  return require("../packages/stand-ins/images");
}

export function caddyBinary(): typeof import("../packages/stand-ins/images/caddy").caddyBinary {
  return require("../packages/stand-ins/images/caddy").caddyBinary;
}

export function standInPlugins(): typeof import("../packages/stand-ins/plugins/bundle") {
  return require("../packages/stand-ins/plugins/bundle");
}
