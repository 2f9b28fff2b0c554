import type { Finding } from "./finding";
import type { Repository } from "./repository";

/** Findings for bytecode that git tracks, one for each folder in the root. Every checkout contains it, whatever source it was made from. */
export function bytecodeFindings({ tracked, files }: Repository): Finding[] {
  const bytecode = files.filter((path) => /\.py[co]$|(^|\/)__pycache__\//.test(path) && tracked?.has(path));
  const groups = new Map<string, [string, ...string[]]>();
  for (const path of bytecode) {
    const [root = ""] = path.includes("/") ? path.split("/") : [];
    const known = groups.get(root);
    if (known) known.push(path);
    else groups.set(root, [path]);
  }
  return [...groups.values()].map((paths) => {
    const folders = [
      ...new Set(paths.map((path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))) || ".")),
    ];
    const [folder = "."] = folders;
    const places = folders.length === 1 ? folder : `${folders.length} folders`;
    return {
      rule: "bytecode-tracked",
      severity: "warning",
      path: paths[0],
      line: 1,
      why: "bytecode is part of the repository: where its source is gone, or has the recorded time and size, Python runs it",
      found: paths.length === 1 ? paths[0] : `${paths.length} files in ${places}`,
      fix: `${folders.length === 1 ? `git rm --cached -r ${folder === "." ? paths.join(" ") : folder}` : "git ls-files -z '*.pyc' '*.pyo' | xargs -0 git rm --cached"}, with __pycache__/ and *.pyc in .gitignore and .dockerignore.`,
    };
  });
}
