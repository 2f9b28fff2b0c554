/** The exact versions that the toolchain installs. */
export const versions = {
  node: "24.21.0",
  /** The npm version of the stand-in for the Node image. */
  npm: "11.21.2",
  pulumi: "3.259.0",
  /** The last language host that the Go module proxy provides. It works with the current CLI and SDK. */
  languageHost: "3.68.0",
  caddy: "2.11.9",
} as const;

/** The two resource plugins. The SDKs in package.json require these versions. */
export const plugins = [
  { name: "docker", version: "5.2.0" },
  { name: "command", version: "1.2.1" },
] as const;

/** The base images that a plain FROM in the example and in users' Dockerfiles names. */
export const baseImages = [
  "debian:bookworm-slim",
  "node:24-bookworm-slim",
  "python:3.11-slim-bookworm",
  "caddy:2.11",
] as const;

export type BaseImage = (typeof baseImages)[number];
