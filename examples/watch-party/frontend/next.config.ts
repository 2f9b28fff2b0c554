import type { NextConfig } from "next";

const root = import.meta.dirname;

const config: NextConfig = {
  output: "standalone",
  // The lockfile of a repository around this folder must not become the root of the build.
  outputFileTracingRoot: root,
  turbopack: { root },
  // No image is resized here, so the optimizer's native library stays out of the runtime image.
  images: { unoptimized: true },
  outputFileTracingExcludes: { "*": ["node_modules/sharp/**", "node_modules/@img/**"] },
  poweredByHeader: false,
};

export default config;
