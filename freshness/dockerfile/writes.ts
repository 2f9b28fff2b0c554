import { posix } from "node:path";
import type { Command } from "./shell";
import { expand, type Values } from "./words";

/** Commands whose effect on files is fully described by their redirections. */
const TRANSPARENT = new Set(
  "echo printf test [ [[ true false : cd mkdir rm rmdir ls cat export set unset exit sleep tee pwd id date printenv chmod chown umask adduser addgroup useradd groupadd usermod groupmod update-ca-certificates ( ) { } then do done fi else if while until !".split(
    " ",
  ),
);
/** They install a distribution's packages, which have nothing of an app unless a file of one is named. */
const PACKAGES = new Set("apk apt apt-get dnf microdnf yum".split(" "));

/** Files that the commands of a RUN leave behind, as far as their text shows. */
export interface Written {
  /** Absolute path → content. */
  readonly files: ReadonlyMap<string, string>;
  /** Whether a program ran that may have written anything. */
  readonly opaque: boolean;
}

/**
 * Finds the files that a RUN writes, and their content.
 * @param unknown stands for content that only a run can determine
 */
export function filesWritten(
  commands: readonly Command[],
  environment: Values,
  workdir: string,
  unknown: string,
): Written {
  const values = new Map(environment);
  const files = new Map<string, string>();
  let folder = workdir;
  let opaque = false;
  let piped: string | undefined;
  for (const command of commands) {
    const output = piped ?? outputOf(command, values, unknown);
    const [program = "", ...args] = command.words.map((word) => expand(word, values));
    if (command.words.every((word) => /^[A-Za-z_]\w*=/.test(word))) assign(command.words, values, unknown);
    else if (program === "export") assign(command.words.slice(1), values, unknown);
    else if (program === "cd") folder = posix.resolve(folder, args[0] ?? "/");
    else if (!isTransparent(command.words.map((word) => expand(word, values)))) opaque = true;
    const targets = command.writes.map(({ path, append }) => ({ path: expand(path, values), append }));
    if (program === "tee") {
      const append = args.some((arg) => /^-\w*a/.test(arg));
      targets.push(...args.filter((arg) => !arg.startsWith("-")).map((path) => ({ path, append })));
    }
    for (const { path, append } of targets) {
      const file = posix.resolve(folder, path);
      files.set(file, (append ? (files.get(file) ?? "") : "") + output);
    }
    piped =
      command.next === "|" ? (program === "tee" ? output : outputOf(command, values, unknown)) : undefined;
  }
  return { files, opaque };
}

function isTransparent(words: readonly string[]): boolean {
  const [program = "", ...args] = words.slice(words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word)));
  return TRANSPARENT.has(program) || (PACKAGES.has(program) && args.every((arg) => !arg.includes("/")));
}

function outputOf(command: Command, values: Values, unknown: string): string {
  const [program = "", ...words] = command.words;
  if (program !== "echo" && program !== "printf") return unknown;
  return words.map((word) => textOf(word, values, unknown)).join(" ");
}

function assign(words: readonly string[], values: Map<string, string>, unknown: string): void {
  for (const word of words) {
    const at = word.indexOf("=");
    if (at > 0) values.set(word.slice(0, at), textOf(word.slice(at + 1), values, unknown));
  }
}

/**
 * A word's value in a shell. A command substitution is unknown. An expansion that shortens a value depends on that
 * value.
 */
function textOf(word: string, values: Values, unknown: string): string {
  const bare = word.replace(/'[^']*'/g, "");
  return /\$\(|`/.test(bare) ? unknown : expand(word, values, "\\", (value) => value);
}
