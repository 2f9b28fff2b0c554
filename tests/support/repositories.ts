import type { Repository } from "../../packages/doctor/repository";

/** A repository in memory: path → text. All of it is tracked. */
export function repositoryOf(files: Readonly<Record<string, string>>): Repository {
  const paths = Object.keys(files);
  return { files: paths, texts: new Map(Object.entries(files)), tracked: new Set(paths) };
}
