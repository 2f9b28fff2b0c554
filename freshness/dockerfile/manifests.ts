import { posix } from "node:path";
import { ignoreRules } from "../dockerignore";
import { globPrefix } from "./glob";

/** Files that declare dependencies and contain nothing of the app itself. */
const MANIFESTS = [
  /^package(-lock)?\.json$/,
  /^npm-shrinkwrap\.json$/,
  /^(yarn|bun|pnpm|poetry|uv|pdm|pixi|conda|Pipfile|Gemfile|composer|Cargo|mix|pubspec|flake|deno|gradle|packages)(-lock)?\.(lock|lockb|lockfile|lock\.json)$/,
  /^pnpm-(lock|workspace)\.yaml$/,
  /^\.(npmrc|yarnrc|yarnrc\.yml|pnpmrc|nvmrc|node-version|python-version|ruby-version|tool-versions)$/,
  /^bunfig\.toml$/,
  /^([\w.-]*-)?requirements([.-][\w.-]*)?\.(txt|in)$/,
  /^constraints([.-][\w.-]*)?\.txt$/,
  /^(pyproject|Cargo)\.toml$/,
  /^Pipfile(\.lock)?$/,
  /^setup\.cfg$/,
  /^environment\.ya?ml$/,
  /^go\.(mod|sum|work|work\.sum)$/,
  /^Gemfile(\.lock)?$/,
  /^[\w-]+\.gemspec$/,
  /^composer\.(json|lock)$/,
  /^mix\.(exs|lock)$/,
  /^(pom\.xml|build\.gradle(\.kts)?|settings\.gradle(\.kts)?|gradle\.properties|libs\.versions\.toml)$/,
  /^(nuget\.config|packages\.lock\.json|Directory\.Packages\.props|[\w.-]+\.(cs|fs|vb)proj)$/i,
];

/** Patterns that match only manifests in practice. */
const MANIFEST_GLOBS = [
  /^package(-lock)?\*?\.json\*?$/,
  /^package-?\*(\.json)?$/,
  /^npm-shrinkwrap\*?\.json\*?$/,
  /^(yarn|bun|poetry|uv|pdm|Pipfile|Gemfile|composer|Cargo)\*?\.?\*?lock[b*?]*$/,
  /^(poetry|uv|Pipfile|Gemfile|composer|go|Cargo)[.*?]{1,2}$/,
  /^pnpm-(lock|workspace)[.*?yaml]*$/,
  /^\.(npmrc|yarnrc(\.yml)?|pnpmrc|nvmrc)[*?]+$/,
  /^([\w.-]*-)?requirements[\w.*?-]*\.(txt|in|\*)$/,
  /^requirements\*$/,
  /^(pyproject|Cargo)\.toml[*?]+$/,
  /^(go|go\.work)\.(mod|sum|\*|s[u?*]m)[*?]*$/,
  /^composer\.\*$/,
];

/** What is known of the build context besides its Dockerfile. */
export interface Context {
  /** Files of the build context, relative to it; absent if unknown. */
  readonly files?: readonly string[];
}

/** Files of a build context that a build receives. */
export function visibleFiles(files: readonly string[], ignored = ""): string[] {
  const rules = ignoreRules(ignored);
  return files.filter((file) => !rules.ignores(file));
}

/**
 * Whether a source of a COPY brings only dependency manifests. Its name or pattern shows this. If the files of the
 * context are known, a source that matches only manifests counts too.
 */
export function isManifest(source: string, context: Context): boolean {
  const path = posix.normalize(source).replace(/^\/+/, "");
  const name = posix.basename(path);
  const isFolder = source.endsWith("/");
  if (/(^|\/)requirements\/[\w.*?-]+\.(txt|in)$/.test(path)) return true;
  if (!isFolder && MANIFESTS.some((pattern) => pattern.test(name))) return true;
  if (!isFolder && /[*?]/.test(name) && MANIFEST_GLOBS.some((pattern) => pattern.test(name))) return true;
  let matched = false;
  for (const file of context.files ?? []) {
    if (!reaches(path, `/${file}`)) continue;
    // One other file decides, in a context of any size.
    if (!isManifest(file, {})) return false;
    matched = true;
  }
  return matched;
}

/** Whether a path or pattern of a COPY matches a file or a folder above it. */
export function reaches(source: string, file: string): boolean {
  return matchStart(source, posix.normalize(file)) !== undefined;
}

/** The part of a file's path that a pattern matched: the file itself or the copied folder. */
export function reached(source: string, file: string): string {
  return matchStart(source, file) ?? file;
}

function matchStart(source: string, file: string): string | undefined {
  const path = posix.normalize(`/${source}`).replace(/\/$/, "");
  if (file === path || file.startsWith(`${path}/`)) return path;
  if (!/[*?[]/.test(path)) return undefined;
  const segments = file.split("/").filter((segment) => segment !== "");
  const matched = globPrefix(path)(segments);
  return matched < 0 ? undefined : `/${segments.slice(0, matched).join("/")}`;
}
