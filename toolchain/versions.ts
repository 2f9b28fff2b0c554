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

/**
 * SHA-256 of the official archives of the Pulumi CLI (https://get.pulumi.com/releases/sdk, the same files as GitHub's), by
 * platform, as Pulumi's own Homebrew formula has them: https://github.com/pulumi/homebrew-tap/blob/master/Formula/pulumi.rb.
 */
export const pulumiSha256: Readonly<Record<string, string>> = {
  "linux-x64": "94ba357acac23d01474084c4b00098dc0f7bc70ce13f34c777459254a5f718e5",
  "linux-arm64": "edc8327463a72160bb36cf82cf5062da9c8a244290a706d9980988e7bf486853",
  "darwin-x64": "eaca4c3b8277bfa3ab061fa3b270d1c66358a0b2e613da8c5587a04b7226c534",
  "darwin-arm64": "57c27f179e527e2cf9f62b841a448af72a020e44b2fb4ee0d9bd85556c00c864",
};

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
