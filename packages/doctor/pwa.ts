import type { Finding } from "./finding";

/** Files that configure a plugin for a service worker. */
export const isPluginConfig = (path: string) =>
  /(^|\/)((vite|nuxt|astro|svelte|webpack|rollup|rspack|rsbuild|workbox|quasar|gatsby|vue|craco|serwist|remix|next)[\w.-]*\.config|workbox-config|gatsby-config|config-overrides|webpack[\w.-]*)\.[cm]?[jt]s$/.test(
    path,
  );
export const isAngularWorker = (path: string) => /(^|\/)ngsw-config[\w.-]*\.json$/.test(path);

const PLUGINS =
  /["'](vite-plugin-pwa|@vite-pwa\/[\w-]+|workbox-webpack-plugin|@ducanh2912\/next-pwa|@serwist\/(?:next|vite|webpack-plugin|build)|@imbios\/next-pwa|next-pwa|next-offline|gatsby-plugin-offline|offline-plugin|sw-precache-webpack-plugin|@vue\/cli-plugin-pwa|workbox-build|rollup-plugin-workbox)["']/;

/** Findings for a plugin's service worker that serves old pages until the user reloads or agrees. */
export function pluginFindings(path: string, text: string): Finding[] {
  const plugin = PLUGINS.exec(text) ?? /\b(workboxPluginMode|workboxOptions)\b/.exec(text);
  const name = plugin?.[1];
  if (!plugin || name === undefined) return [];
  const call =
    /\b(VitePWA|GenerateSW|InjectManifest|withPWA\w*|withSerwist\w*|generateSW)\s*\(|\bpwa\s*:\s*\{|\bresolve\s*:\s*["']gatsby-plugin-offline/.exec(
      text,
    );
  if (/\b(selfDestroying|disable)\s*:\s*true\b/.test(text)) return [];
  const takesOver =
    /registerType\s*:\s*["']autoUpdate["']/.test(text) ||
    (/skipWaiting\s*:\s*true/.test(text) && /clientsClaim\s*:\s*true/.test(text));
  const hasPages =
    /navigateFallback\s*:\s*(?!(null|undefined|false|["']["']))/.test(text) ||
    /globPatterns\s*:\s*\[[^\]]*html/.test(text) ||
    /vite-plugin-pwa|@vite-pwa|gatsby-plugin-offline|next-pwa|serwist/.test(name);
  const network = /(NetworkFirst|NetworkOnly)/.test(text) && /navigate|document|html/i.test(text);
  if (takesOver || network || !hasPages) return [];
  const at = call?.index ?? plugin.index;
  return [
    {
      rule: "worker-serves-pages",
      severity: "warning",
      path,
      line: text.slice(0, at).split("\n").length,
      why: `${name} installs a service worker that answers navigations with the page it has kept, until a new worker takes over: an open browser shows an earlier deploy`,
      found: name,
      fix: 'registerType: "autoUpdate" (skipWaiting and clientsClaim), pages NetworkFirst, no HTML in the precache.',
    },
  ];
}

/** Angular's service worker serves navigations from its cache by default. */
export function angularFindings(path: string, text: string): Finding[] {
  if (/"navigationRequestStrategy"\s*:\s*"freshness"/.test(text)) return [];
  const index = /"index"\s*:/.exec(text);
  if (!index) return [];
  return [
    {
      rule: "worker-serves-pages",
      severity: "warning",
      path,
      line: text.slice(0, index.index).split("\n").length,
      why: "Angular's service worker answers navigations with the version that it has, and fetches the new one for the next visit",
      found: "no navigationRequestStrategy: freshness",
      fix: '"navigationRequestStrategy": "freshness"',
    },
  ];
}
