import { posix } from "node:path";
import { hashOf } from "../hash";
import { reached, reaches } from "./manifests";
import { isHeredoc, type Step } from "./parse";
import { both, type Origin, type Pair, type StageState } from "./state";
import { expand, splitWords, type Values } from "./words";

/** One hash for several texts. */
export function digest(...parts: readonly string[]): string {
  return hashOf(parts);
}

/** BuildKit keys a COPY from a stage, and a mount of a stage, by the content of the files that it reads. */
export function contentOf(origin: Origin, sources: readonly string[]): Pair {
  if (origin.kind !== "stage") return both(() => origin.kind);
  const read = [...origin.stage.files].filter(([path]) => sources.some((source) => reaches(source, path)));
  return both((i) => digest(JSON.stringify(read.map(([path, content]) => [path, content[i]]).sort())));
}

/** Records what is known of the copied files at their target paths. */
export function land(
  state: StageState,
  origin: Origin,
  sources: readonly string[],
  destination: string,
  contextFiles: readonly string[] = [],
): void {
  // For the context, only overwritten files matter. Skip all others, because there are thousands.
  const names = new Set([...state.files.keys()].map((path) => posix.basename(path)));
  const known: [string, Pair][] =
    origin.kind === "stage"
      ? [...origin.stage.files]
      : origin.kind === "context"
        ? contextFiles
            .filter((file) => names.has(posix.basename(file)))
            .map((file) => [`/${file}`, ["context", "context"]])
        : [];
  const folder = posix.resolve(state.workdir, destination);
  for (const source of sources)
    for (const [path, content] of known.filter(([file]) => reaches(source, file))) {
      const top = reached(source, path);
      const isFile = top === path;
      const landed = posix.join(folder, isFile ? posix.basename(path) : path.slice(top.length));
      if (origin.kind === "stage" || state.files.has(landed)) state.files.set(landed, content);
      if (isFile && origin.kind === "stage") state.files.set(folder, content);
    }
}

/** Records the heredocs of an instruction at their target paths. */
export function landTexts(state: StageState, step: Step, texts: readonly Pair[], destination: string): void {
  const folder = posix.resolve(state.workdir, destination);
  const names = splitWords(step.text).filter(isHeredoc);
  texts.forEach((text, at) => {
    const name = (names[at] ?? "").replace(/^\d*<<-?['"]?|['"]$/g, "");
    state.files.set(destination.endsWith("/") ? posix.join(folder, name) : folder, text);
  });
}

/** Expands the variables of a heredoc. Quotes have no meaning there. */
export function expandBody(body: string, values: Values): string {
  return expand(body.replace(/['"]/g, "\\$&"), values);
}
