import { posix } from "node:path";
import type { Repository } from "../repository";
import type { Found, Language } from "./image";

/** The role of a service for its users, which decides the route. */
export type Kind = "web" | "api" | "worker" | "unknown";

export interface Framework {
  readonly name: string;
  readonly kind: Kind;
  /** The default port. */
  readonly port?: number;
}

/** By package, most specific first: an app with Next and Express is a Next app. */
const NODE: readonly [RegExp, Framework][] = [
  [/^next$/, { name: "Next.js", kind: "web", port: 3000 }],
  [/^(nuxt|nuxt3)$/, { name: "Nuxt", kind: "web", port: 3000 }],
  [/^@remix-run\/(node|serve)$|^@react-router\/serve$/, { name: "Remix", kind: "web", port: 3000 }],
  [/^@sveltejs\/kit$/, { name: "SvelteKit", kind: "web", port: 3000 }],
  [/^astro$/, { name: "Astro", kind: "web", port: 4321 }],
  [/^@nestjs\/core$/, { name: "NestJS", kind: "api", port: 3000 }],
  [/^(express|fastify|koa|hono|@hapi\/hapi)$/, { name: "Express or the like", kind: "api", port: 3000 }],
  [/^(vite|react-scripts|@angular\/core)$/, { name: "Vite or the like", kind: "web" }],
];
const PYTHON: readonly [RegExp, Framework][] = [
  [/^(fastapi|starlette|litestar)\b/i, { name: "FastAPI", kind: "api", port: 8000 }],
  [/^django\b/i, { name: "Django", kind: "web", port: 8000 }],
  [/^flask\b/i, { name: "Flask", kind: "api", port: 5000 }],
];
const RUBY: readonly [RegExp, Framework][] = [[/^rails$/i, { name: "Rails", kind: "web", port: 3000 }]];

export const isManifestOfHints = (path: string) =>
  /(^|\/)(package\.json|requirements(\/[\w.-]+|[\w.-]*)\.(txt|in)|pyproject\.toml|Pipfile|go\.mod|Gemfile)$/.test(
    path,
  );

/** Detects an app's framework from its manifests, in its own folder first, then in the folders around it. */
export function frameworkOf(
  repository: Repository,
  folders: readonly string[],
  languages: readonly Language[],
): Found<Framework> | undefined {
  for (const folder of folders)
    for (const [path, text] of repository.texts) {
      if (!isManifestOfHints(path)) continue;
      if (languages.length > 0 && !languages.includes(languageOf(path))) continue;
      const parent = posix.dirname(path) === "." ? "" : posix.dirname(path);
      if (parent !== folder && parent !== posix.join(folder, "requirements")) continue;
      const found = read(path, text);
      if (found) return found;
    }
  return undefined;
}

/** The language of a manifest or a source file. */
export function languageOf(path: string): Language {
  if (/(go\.mod|\.go)$/.test(path)) return "go";
  if (/(Gemfile|\.rb)$/.test(path)) return "ruby";
  return /(package\.json|\.[cm]?[jt]sx?)$/.test(path) ? "node" : "python";
}

function read(path: string, text: string): Found<Framework> | undefined {
  const lines = text.split("\n");
  if (path.endsWith("go.mod")) return { value: { name: "Go", kind: "unknown", port: 8080 }, at: `${path}:1` };
  const isNode = path.endsWith("package.json");
  const known = isNode ? NODE : path.endsWith("Gemfile") ? RUBY : PYTHON;
  for (const [pattern, value] of known) {
    const at = isNode
      ? dependencyLine(text, lines, pattern)
      : lines.findIndex((line) => named(line).some((name) => pattern.test(name)));
    if (at >= 0) return { value, at: `${path}:${at + 1}` };
  }
  return undefined;
}

/** The package names in a line of requirements or of a pyproject. */
function named(line: string): string[] {
  if (/^\s*#/.test(line)) return [];
  return [line.trim(), ...[...line.matchAll(/["']([\w.-]+)/g)].flatMap(([, name]) => name ?? [])];
}

function dependencyLine(text: string, lines: readonly string[], pattern: RegExp): number {
  try {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as Record<
      string,
      Record<string, string>
    >;
    const name = [...Object.keys(dependencies), ...Object.keys(devDependencies)].find((each) =>
      pattern.test(each),
    );
    return name === undefined ? -1 : lines.findIndex((line) => line.includes(`"${name}"`));
  } catch {
    return -1;
  }
}

/** The kind that a service's name suggests. */
export function kindOfName(name: string): Kind {
  if (/(^|[-_])(worker|celery|beat|cron|queue|scheduler|jobs?|consumer|sidekiq)s?([-_]|$)/.test(name))
    return "worker";
  if (/(^|[-_])(api|backend|server|graphql|rest)([-_]|$)/.test(name)) return "api";
  if (
    /(^|[-_])(web|www|frontend|front|client|ui|site|app|next|nginx|proxy|gateway|portal|dashboard)([-_]|$)/.test(
      name,
    )
  )
    return "web";
  return "unknown";
}
