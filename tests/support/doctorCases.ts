import { examine } from "../../packages/doctor/examine";
import { repositoryOf } from "./repositories";

/** A small repository: path → lines. */
export type Lines = Readonly<Record<string, readonly string[]>>;

/** What doctor reports above a note: `path:line severity rule`. */
export function risksIn(files: Lines): string[] {
  const texts = Object.fromEntries(
    Object.entries(files).map(([path, lines]) => [path, `${lines.join("\n")}\n`]),
  );
  return examine(repositoryOf(texts))
    .filter(({ severity }) => severity !== "note")
    .map(({ path, line, severity, rule }) => `${path}:${line} ${severity} ${rule}`);
}
