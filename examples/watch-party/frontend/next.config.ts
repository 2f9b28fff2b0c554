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
  // What a build leaves for the next one goes with its layer: it takes time to write, and none is to be found.
  experimental: { turbopackFileSystemCacheForBuild: false },
  poweredByHeader: false,
  // A page that another site frames could be made to be clicked on.
  headers: async () => [
    {
      source: "/:path*",
      headers: [
        { key: "X-Frame-Options", value: "DENY" },
        { key: "X-Content-Type-Options", value: "nosniff" },
      ],
    },
  ],
  // Where the app is deployed the edge leads /api to the backend; on a laptop the development server does.
  ...(process.env.NODE_ENV === "development" && {
    rewrites: async () => [
      {
        source: "/api/:path*",
        destination: `${process.env.BACKEND_URL ?? "http://localhost:8000"}/api/:path*`,
      },
    ],
  }),
};

export default config;
