import type { Repository } from "../repository";
import { isLeftOut } from "../scope";
import { languageOf } from "./framework";
import type { Found, Language } from "./image";

/** Common paths of health checks. */
export const HEALTH_PATH = "/(?:api/)?(?:healthz|health|readyz|livez|_health|healthcheck|ping)";
export const VERSION_PATH = "/version";

/** Files in which a server declares its paths. */
export const isSource = (path: string) =>
  /\.(py|go|[cm]?[jt]sx?)$|(^|\/)config\/routes\.rb$/.test(path) &&
  !/(^|\/)(tests?|__tests__|e2e)\/|[._-](test|spec)\./.test(path);

/** A path that an app serves, by the content or the names of its sources. */
export function servedPath(
  repository: Repository,
  folder: string,
  languages: readonly Language[],
  wanted: string,
): Found<string> | undefined {
  const prefix = folder === "" ? "" : `${folder}/`;
  const quoted = new RegExp(`["'\`](?:(?:GET|HEAD) )?(${wanted})/?["'\`]`);
  // Next.js derives paths from folders.
  const named = new RegExp(`(?:^|/)(?:app(${wanted})/route|pages(${wanted})(?:/index)?)\\.[jt]sx?$`);
  for (const [path, text] of repository.texts) {
    if (!path.startsWith(prefix) || !isSource(path) || isLeftOut(path.slice(prefix.length))) continue;
    if (languages.length > 0 && !languages.includes(languageOf(path))) continue;
    const [, inApp, inPages] = named.exec(path) ?? [];
    const routed = inApp ?? inPages;
    if (routed !== undefined) return { value: routed, at: `${path}:1` };
    for (const [at, line] of text.split("\n").entries()) {
      const value = quoted.exec(line)?.[1];
      // A router's paths begin with the one that it is mounted at.
      if (value !== undefined && !/\b\w*[rR]outer\w*\.\w+\(/.test(line))
        return { value, at: `${path}:${at + 1}` };
    }
  }
  return undefined;
}
