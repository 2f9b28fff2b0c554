import type { Diagnosis } from "./finding";
import type { Repository } from "./repository";

/** Bytecode that git tracks: it comes with every checkout, of whatever source it was made. */
export function bytecodeFindings({ tracked, files }: Repository): Diagnosis[] {
  const bytecode = files.filter((path) => /\.py[co]$|(^|\/)__pycache__\//.test(path) && tracked?.has(path));
  const folders = new Map<string, string[]>();
  for (const path of bytecode) {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  return [...folders].map(([folder, paths]) => ({
    rule: "bytecode-tracked",
    severity: "error",
    path: paths[0]!,
    line: 1,
    why: "bytecode is part of the repository: Python can run it instead of the source that it was made from",
    found: paths.length === 1 ? paths[0]! : `${paths.length} files in ${folder || "."}`,
    fix: `git rm --cached -r ${folder || paths.join(" ")}, with __pycache__/ and *.pyc in .gitignore and .dockerignore.`,
  }));
}
