import type { Finding } from "./finding";
import type { Repository } from "./repository";

/** Findings for bytecode that git tracks. Every checkout contains it, whatever source it was made from. */
export function bytecodeFindings({ tracked, files }: Repository): Finding[] {
  const bytecode = files.filter((path) => /\.py[co]$|(^|\/)__pycache__\//.test(path) && tracked?.has(path));
  const folders = new Map<string, [string, ...string[]]>();
  for (const path of bytecode) {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const known = folders.get(folder);
    if (known) known.push(path);
    else folders.set(folder, [path]);
  }
  return [...folders].map(([folder, paths]) => ({
    rule: "bytecode-tracked" as const,
    severity: "warning" as const,
    path: paths[0],
    line: 1,
    why: "bytecode is part of the repository: where its source is gone, or has the recorded time and size, Python runs it",
    found: paths.length === 1 ? paths[0] : `${paths.length} files in ${folder || "."}`,
    fix: `git rm --cached -r ${folder || paths.join(" ")}, with __pycache__/ and *.pyc in .gitignore and .dockerignore.`,
  }));
}
