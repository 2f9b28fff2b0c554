import type { Finding } from "./finding";
import type { Repository } from "./repository";

/** The finding for bytecode that git tracks. Every checkout contains it, whatever source it was made from. */
export function bytecodeFindings({ tracked, files }: Repository): Finding[] {
  const paths = files.filter((path) => /\.py[co]$|(^|\/)__pycache__\//.test(path) && tracked?.has(path));
  const [first] = paths;
  if (first === undefined) return [];
  const folders = [...new Set(paths.map((path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))) || "."))];
  const places = folders.length === 1 ? folders[0] : `${folders.length} folders`;
  return [
    {
      rule: "bytecode-tracked",
      severity: "warning",
      path: first,
      line: 1,
      why: "bytecode is part of the repository: where its source is gone, or has the recorded time and size, Python runs it",
      found: paths.length === 1 ? first : `${paths.length} files in ${places}`,
      fix: "git ls-files -z '*.pyc' '*.pyo' | xargs -0 git rm --cached, with __pycache__/ and *.pyc in .gitignore and .dockerignore.",
    },
  ];
}
