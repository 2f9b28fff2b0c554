import { posix } from "node:path";
import type { Repository } from "../../repository";
import { HEALTH_PATH } from "../paths";
import { type Change, withLines } from "./change";
import { COMMIT_FILE } from "./dockerfileLines";

/** A version path that is added to an app. */
export interface VersionPath {
  readonly change: Change;
  /** The path that answers. */
  readonly path: string;
}

/** The app's own function for an operation's name may need tags, and its documented API stays as it is. */
const FASTAPI = ', operation_id="freshness_version", include_in_schema=False';

type Writer = (text: string, path: string) => string | undefined;

/** The frameworks that are known, and how a path is added to a source of theirs. */
const WRITERS: readonly [RegExp, RegExp, Writer][] = [
  [
    /^FastAPI$/,
    /\.py$/,
    (text) =>
      python(text, /^([ \t]*)(\w+)(?:\s*:\s*FastAPI)?\s*=\s*(?:fastapi\.)?FastAPI\(/m, "get", FASTAPI),
  ],
  [
    /^Flask$/,
    /\.py$/,
    (text) => python(text, /^([ \t]*)(\w+)(?:\s*:\s*Flask)?\s*=\s*(?:flask\.)?Flask\(/m, "route"),
  ],
  [/^Django$/, /(^|\/)urls\.py$/, django],
  [/^Express/, /\.[cm]?[jt]s$/, express],
  [/^Rails$/, /(^|\/)config\/routes\.rb$/, rails],
  [/^Go$/, /\.go$/, go],
];

/** Adds the version path to an app whose framework is known; undefined if the place for it cannot be found. */
export function versionPath(
  repository: Repository,
  folder: string,
  framework: string,
): VersionPath | undefined {
  if (framework === "Next.js") return next(repository, folder);
  const writer = WRITERS.find(([name]) => name.test(framework));
  if (!writer) return undefined;
  const [, wanted, write] = writer;
  const prefix = folder === "" ? "" : `${folder}/`;
  const isOther =
    /(^|\/)(tests?|__tests__|migrations|scripts|examples?)\/|\.(test|spec)\.|(^|\/)(conftest|test_\w+)\.py$/;
  // Django's settings name the module with the outermost paths.
  const roots = [...repository.texts].flatMap(([path, text]) =>
    path.endsWith(".py")
      ? [...text.matchAll(/^ROOT_URLCONF\s*=\s*["']([\w.]+)["']/gm)].map(([, name]) => name)
      : [],
  );
  const isRoot = (path: string) =>
    roots.some((name) => `/${path}`.endsWith(`/${name?.replaceAll(".", "/")}.py`));
  const paths = [...repository.texts.keys()]
    .filter(
      (path) => path.startsWith(prefix) && wanted.test(path) && !isOther.test(path.slice(prefix.length)),
    )
    // The one that the settings name, then Go's outermost router, then the outermost file.
    .sort(
      (a, b) =>
        Number(isRoot(b)) - Number(isRoot(a)) ||
        goRank(repository, b) - goRank(repository, a) ||
        a.split("/").length - b.split("/").length ||
        (a < b ? -1 : 1),
    );
  for (const path of paths) {
    const before = repository.texts.get(path) ?? "";
    const after = write(before, path);
    if (after !== undefined && after !== before) return { change: { path, before, after }, path: "/version" };
  }
  return undefined;
}

/** Routers are mounted in others, at a prefix: the outermost one answers health checks or has the path "/". */
function goRank(repository: Repository, path: string): number {
  if (!path.endsWith(".go")) return 0;
  const text = repository.texts.get(path) ?? "";
  if (new RegExp(`Func\\("(GET )?${HEALTH_PATH}"`).test(text)) return 2;
  return /\.Handle(Func)?\("(GET )?\/"/.test(text) ? 1 : 0;
}

/** The line behind the statement that starts at a position, whose brackets are closed there. */
function lineAfter(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (; at < text.length; at++) {
    if (/[([{]/.test(text[at] ?? "")) depth++;
    if (/[)\]}]/.test(text[at] ?? "")) depth--;
    if (text[at] === "\n" && depth <= 0) break;
  }
  return text.slice(0, at).split("\n").length + 1;
}

function python(text: string, created: RegExp, decorator: string, options = ""): string | undefined {
  const found = created.exec(text);
  if (!found) return undefined;
  const [, indent = "", name] = found;
  const blank = indent === "" ? ["", ""] : [""];
  const lines = [
    `@${name}.${decorator}("/version"${options})`,
    "def freshness_version():",
    `    with open("${COMMIT_FILE}", encoding="utf-8") as file:`,
    '        return {"commit": file.read().strip()}',
  ];
  return withLines(text, lineAfter(text, found.index), [
    ...blank,
    ...lines.map((line) => `${indent}${line}`),
  ]);
}

function django(text: string): string | undefined {
  const found = /^urlpatterns\s*=\s*\[/m.exec(text);
  if (!found || !/\badmin\.site\.urls\b|\binclude\(|\bpath\(/.test(text)) return undefined;
  const answer = `    path("version", lambda request: JsonResponse({"commit": open("${COMMIT_FILE}").read().strip()})),`;
  const line = text.slice(0, found.index).split("\n").length;
  if (/\]/.test(text.split("\n")[line - 1] ?? "")) return undefined;
  const added = withLines(text, line + 1, [answer]);
  const imports = [
    ...(/import[^\n]*\bJsonResponse\b/.test(text) ? [] : ["from django.http import JsonResponse"]),
    ...(/from django\.urls import[^\n]*\bpath\b/.test(text) ? [] : ["from django.urls import path"]),
  ];
  const first = /^(from|import)\s/m.exec(added);
  return withLines(added, first ? added.slice(0, first.index).split("\n").length : 1, imports);
}

function express(text: string): string | undefined {
  const found = /^[ \t]*(?:const|let|var)\s+(\w+)(?:\s*:[^=\n]+)?\s*=\s*express\(\)/m.exec(text);
  if (!found) return undefined;
  const isModule = /^\s*import\s[^\n]*from\s/m.test(text);
  const indent = /^[ \t]*/.exec(found[0])?.[0] ?? "";
  const read = isModule ? "readFileSync" : 'require("node:fs").readFileSync';
  const added = withLines(text, lineAfter(text, found.index), [
    `${indent}${found[1]}.get("/version", (_request, response) => {`,
    `${indent}  response.json({ commit: ${read}("${COMMIT_FILE}", "utf8").trim() });`,
    `${indent}});`,
  ]);
  if (!isModule || /import\s*\{[^}]*\breadFileSync\b/.test(text)) return added;
  const first = /^\s*import\s/m.exec(added);
  const line = added.slice(0, first?.index ?? 0).split("\n").length;
  return withLines(added, line, ['import { readFileSync } from "node:fs";']);
}

function rails(text: string): string | undefined {
  const found = /^Rails\.application\.routes\.draw do[^\n]*$/m.exec(text);
  if (!found) return undefined;
  return withLines(text, text.slice(0, found.index).split("\n").length + 1, [
    `  get "/version", to: proc { [200, { "content-type" => "application/json" }, [{ commit: File.read("${COMMIT_FILE}").strip }.to_json]] }`,
  ]);
}

function go(text: string): string | undefined {
  const found = /^([ \t]*)(\w+)\.(HandleFunc|Handle)\(\s*"/m.exec(text);
  const imports = /^import (\(|"[^"]*"[^\n]*)\n/m.exec(text);
  if (!found || !imports || !/"net\/http"/.test(text)) return undefined;
  const [, indent = "", receiver] = found;
  const line = text.slice(0, found.index).split("\n").length;
  const added = withLines(text, line, [
    `${indent}${receiver}.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {`,
    `${indent}\tcommit, _ := os.ReadFile("${COMMIT_FILE}")`,
    `${indent}\tw.Header().Set("Content-Type", "application/json")`,
    `${indent}\tfmt.Fprintf(w, "{\\"commit\\": %q}", commit)`,
    `${indent}})`,
  ]);
  const missing = ["fmt", "os"].filter((name) => !new RegExp(`^(\\s*|import )"${name}"`, "m").test(text));
  const at = text.slice(0, imports.index).split("\n").length + 1;
  if (imports[1] !== "(")
    return withLines(
      added,
      at,
      missing.map((name) => `import "${name}"`),
    );
  return missing.reduce(
    (before, name) => withLines(before, placeOf(before, at, name), [`\t"${name}"`]),
    added,
  );
}

/** The line of an import among the first group of a Go file's imports, which gofmt sorts. */
function placeOf(text: string, first: number, name: string): number {
  const lines = text.split("\n").slice(first - 1);
  const end = lines.findIndex((line) => !/^\t"/.test(line));
  const next = lines.slice(0, end).findIndex((line) => line > `\t"${name}"`);
  return first + (next < 0 ? end : next);
}

/** A route of Next.js: below `app` as a file of its own, otherwise an API route. */
function next(repository: Repository, folder: string): VersionPath | undefined {
  const has = (below: string) =>
    repository.files.some((file) => file.startsWith(`${posix.join(folder, below)}/`));
  const isTyped = repository.files.includes(posix.join(folder, "tsconfig.json"));
  const commit = `readFileSync("${COMMIT_FILE}", "utf8").trim()`;
  const app = ["app", "src/app"].find(has);
  if (app !== undefined) {
    const path = posix.join(folder, app, `version/route.${isTyped ? "ts" : "js"}`);
    const after = `import { readFileSync } from "node:fs";\n\nexport const dynamic = "force-dynamic";\n\nexport function GET() {\n  return Response.json({ commit: ${commit} });\n}\n`;
    return { change: { path, after }, path: "/version" };
  }
  const pages = ["pages", "src/pages"].find(has);
  if (pages === undefined) return undefined;
  const path = posix.join(folder, pages, `api/version.${isTyped ? "ts" : "js"}`);
  const types = isTyped
    ? ["_request: unknown", "response: { json(value: object): void }"]
    : ["_request", "response"];
  const after = `import { readFileSync } from "node:fs";\n\nexport default function handler(${types.join(", ")}) {\n  response.json({ commit: ${commit} });\n}\n`;
  return { change: { path, after }, path: "/api/version" };
}
