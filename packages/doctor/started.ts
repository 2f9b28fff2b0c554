import { posix } from "node:path";
import type { Executed } from "../../freshness/dockerfile/state";
import { BASES, type ComposeService } from "./composeFile";

type Texts = ReadonlyMap<string, string>;

/** The texts of the scripts that a command names. */
export function scriptsOf(texts: Texts, context: string, command: string): string[] {
  const names = command.split(/[\s"',[\]]+/).map((word) => posix.basename(word));
  const scripts = [...texts].filter(
    ([path]) =>
      (context === "" || path.startsWith(`${context}/`)) &&
      !BASES.includes(posix.basename(path)) &&
      /\.(sh|bash|ini|conf|json|py|js|mjs)$|entrypoint|start|\/bin\//.test(path) &&
      names.includes(posix.basename(path)),
  );
  return scripts.map(([, text]) => text);
}

/** What a service runs when it starts: its command, and the scripts of the repository that the command names. */
export function startedText(
  { command, section, build }: ComposeService,
  executed: readonly Executed[],
  texts: Texts,
): string {
  const ofImage = (keyword: string) => executed.findLast(({ step }) => step.keyword === keyword)?.step.text;
  const entrypoint = section.at("entrypoint").list.map(({ text = "" }) => text);
  const words = [
    entrypoint.length > 0 ? entrypoint.join(" ") : (ofImage("ENTRYPOINT") ?? ""),
    command?.text ?? ofImage("CMD") ?? "",
  ].join("\n");
  if (build?.context === undefined) return words;
  // Scripts that have another name in the repository.
  const renamed = executed.flatMap(({ sources, destination, step }) => {
    const name = posix.basename(destination?.folder ?? "");
    return step.keyword !== "RUN" && name !== "" && words.includes(name) ? sources : [];
  });
  return [words, ...scriptsOf(texts, build.context, [words, ...renamed].join("\n"))].join("\n");
}

const OUTPUT_MADE =
  /\b(collectstatic|compilestatic|assets:precompile)\b|\b(npm|yarn|pnpm|bun)\s+(run\s+)?build\b|\b(next|vite|nuxt|ng)\s+build\b/;

/** Whether a start writes the files of its image into a folder again. */
export function isRefreshed(folder: string, started: string): boolean {
  const path = posix.normalize(folder).replace(/\/$/, "");
  const copies = (line: string) => /\b(cp\s+-\w*[arR]|rsync|tar\s)/.test(line) && line.includes(path);
  if (started.split("\n").some(copies)) return true;
  if (/(^|\/)node_modules(\/|$)/.test(path)) return /\b(npm|yarn|pnpm|bun)\s+(ci|install|i)\b/.test(started);
  return /(^|\/)(\w*static\w*|assets|public|dist|build|out|\.next|\.output|\.nuxt)(\/|$)/.test(path)
    ? OUTPUT_MADE.test(started)
    : false;
}
