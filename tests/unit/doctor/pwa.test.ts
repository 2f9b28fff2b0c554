import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/pwa.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "next-pwa",
      {
        ...NODE_APP,
        "next.config.js": [
          "const withPWA = require('next-pwa')({ dest: 'public' })",
          "module.exports = withPWA({})",
        ],
      },
      ["next.config.js:2 warning worker-serves-pages"],
    ],
    [
      "serwist",
      {
        ...NODE_APP,
        "next.config.mjs": [
          "import withSerwistInit from '@serwist/next';",
          "export default withSerwistInit({ swSrc: 'app/sw.ts', swDest: 'public/sw.js' })({})",
        ],
        "app/sw.ts": [
          "import { defaultCache } from '@serwist/next/worker';",
          "import { Serwist } from 'serwist';",
          "const s = new Serwist({ precacheEntries: self.__SW_MANIFEST, runtimeCaching: defaultCache, fallbacks: {entries: []} });",
          "s.addEventListeners();",
        ],
      },
      ["next.config.mjs:2 warning worker-serves-pages"],
    ],
    [
      "nuxt pwa",
      {
        ...NODE_APP,
        "nuxt.config.ts": [
          "export default defineNuxtConfig({ modules: ['@vite-pwa/nuxt'], pwa: { registerType: 'prompt' } })",
        ],
      },
      ["nuxt.config.ts:1 warning worker-serves-pages"],
    ],
    [
      "gatsby offline",
      {
        ...NODE_APP,
        "gatsby-config.js": ["module.exports = { plugins: ['gatsby-plugin-offline'] }"],
      },
      ["gatsby-config.js:1 warning worker-serves-pages"],
    ],
    [
      "ngsw",
      {
        ...NODE_APP,
        "ngsw-config.json": [
          '{"index":"/index.html","assetGroups":[{"name":"app","installMode":"prefetch","resources":{"files":["/index.html","/*.js"]}}]}',
        ],
      },
      ["ngsw-config.json:1 warning worker-serves-pages"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "vite pwa selfDestroying",
      {
        ...NODE_APP,
        "vite.config.ts": [
          "import { VitePWA } from 'vite-plugin-pwa'",
          "export default { plugins: [VitePWA({ selfDestroying: true })] }",
        ],
      },
    ],
    [
      "vite pwa injectManifest no html / NetworkFirst",
      {
        ...NODE_APP,
        "vite.config.ts": [
          "import { VitePWA } from 'vite-plugin-pwa'",
          "export default { plugins: [VitePWA({ registerType: 'autoUpdate', workbox: { navigateFallback: null, globPatterns: ['**/*.{js,css}'] } })] }",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
