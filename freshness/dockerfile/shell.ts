import type { Step } from "./parse";
import { closing, expand } from "./words";

/** One simple command of a shell script, as written. */
export interface Command {
  /** Words with their quotes, without redirections. A bracket or a shell keyword is a command of its own. */
  readonly words: readonly string[];
  /** Files that receive its output. */
  readonly writes: readonly { readonly path: string; readonly append: boolean }[];
  /** Operator before the next command: `&&`, `||`, `;`, `|`, `&`; empty at the end. */
  readonly next: string;
  /** Line where it starts, counted from 1 in the split text. */
  readonly line: number;
  /** Whether `;;` follows: the next command is in another branch of a `case`. */
  readonly endsBranch?: true;
}

const OPERATOR = /^(&&|\|\||;;|;|\n|\|&|\||&(?!>))/;
const REDIRECT = /^(?:(\d*|&)(>>|>\||>(?!&))|(\d*)(<<<|<<-?|<)(?!&))\s*/;
/** `2>&1` names no file. */
const DUPLICATION = /^\d*[<>]&(\d+|-)/;
const BRACKETS = new Set([
  "(",
  ")",
  "{",
  "}",
  "then",
  "do",
  "done",
  "fi",
  "else",
  "if",
  "while",
  "until",
  "!",
]);

/** Commands that a RUN gives to a shell. A program in exec form is one command with quoted words. */
export function commandsOf(run: Step): Command[] {
  if (run.json) {
    const [program = "", flag = "", script = ""] = run.json;
    const isShell = /(^|\/)(ba|da|a|z|k)?sh$/.test(program) && /^-[a-z]*c$/.test(flag);
    if (isShell) return splitCommands(script);
    return [{ words: run.json.map((word) => `'${word}'`), writes: [], next: "", line: 1 }];
  }
  const bodies = run.heredocs.map(({ body }) => body).join("\n");
  const outside = run.text.replace(/(^|\s)\d*<<-?(['"]?)[A-Za-z_][\w.-]*\2(?=\s|$)/g, "$1");
  // `RUN <<EOF` and `RUN bash <<EOF` run the text below; `RUN cat <<EOF` only reads it.
  const isScript = run.heredocs.length > 0 && /^\s*((\S*\/)?(ba|da|a|z|k)?sh(\s+-\S+)*)?\s*$/.test(outside);
  return splitCommands(isScript ? bodies : run.heredocs.length > 0 ? outside : run.text);
}

/** Splits a script into its simple commands. Quotes, `$( )` and backquotes stay in one word. */
export function splitCommands(script: string): Command[] {
  const commands: Command[] = [];
  let words: string[] = [];
  let writes: Command["writes"][number][] = [];
  const end = (next: string, isBranch = false) => {
    const last = commands.at(-1);
    const marks = { next, ...(isBranch && { endsBranch: true as const }) };
    if (words.length > 0 || writes.length > 0) commands.push({ words, writes, line, ...marks });
    else if (last && (last.next === "" || next !== ";" || isBranch))
      commands.splice(-1, 1, { ...last, ...marks });
    words = [];
    writes = [];
  };
  const { text, lineAt } = joined(script);
  let at = 0;
  let line = 1;
  while (at < text.length) {
    if (words.length === 0 && writes.length === 0) line = lineAt(at);
    const rest = text.slice(at);
    const operator = OPERATOR.exec(rest)?.[0];
    const redirect = REDIRECT.exec(rest);
    const duplication = DUPLICATION.exec(rest)?.[0];
    if (duplication !== undefined) at += duplication.length;
    else if (operator !== undefined) {
      const next = operator === "\n" || operator === ";;" ? ";" : operator === "|&" ? "|" : operator;
      end(next, operator === ";;");
      at += operator.length;
    } else if (/^[ \t\r]/.test(rest)) at++;
    else if (rest.startsWith("#")) at += rest.indexOf("\n") < 0 ? rest.length : rest.indexOf("\n");
    else if (redirect) {
      at += redirect[0].length;
      const path = wordAt(text, at);
      at += path.length;
      if (redirect[2] && redirect[1] !== "2") writes.push({ path, append: redirect[2] === ">>" });
    } else if (rest.startsWith("(") || rest.startsWith(")")) {
      if (words.length > 0) end("");
      commands.push({ words: [rest.charAt(0)], writes: [], next: "", line });
      at++;
    } else {
      const word = wordAt(text, at) || rest.charAt(0);
      at += word.length;
      if (words.length === 0 && BRACKETS.has(word))
        commands.push({ words: [word], writes: [], next: "", line });
      else words.push(word);
    }
  }
  end("");
  return commands;
}

/** Removes line continuations and keeps the line numbers. Call `lineAt` with increasing positions only. */
function joined(script: string): { text: string; lineAt: (at: number) => number } {
  const parts = script.split("\\\n");
  const text = parts.join("");
  const seams: number[] = [];
  for (const part of parts.slice(0, -1)) seams.push((seams.at(-1) ?? 0) + part.length);
  let from = 0;
  let passed = 0;
  let line = 1;
  const lineAt = (at: number) => {
    for (; from < at; from++) if (text[from] === "\n") line++;
    for (; (seams[passed] ?? Number.POSITIVE_INFINITY) <= at; passed++) line++;
    return line;
  };
  return { text, lineAt };
}

/** The word at an index, up to white space or an operator outside quotes. */
function wordAt(text: string, start: number): string {
  let at = start;
  while (at < text.length) {
    const char = text.charAt(at);
    if (/[\s;&|()<>]/.test(char)) break;
    if (char === "\\") at += 2;
    else if (char === "'") at = after(text.indexOf("'", at + 1), text);
    else if (char === '"') at = endOfDouble(text, at + 1);
    else if (char === "`") at = after(text.indexOf("`", at + 1), text);
    else if (char === "$" && text[at + 1] === "(") at = closing(text, at + 2, "(", ")") + 1;
    else if (char === "$" && text[at + 1] === "{") at = closing(text, at + 2, "{", "}") + 1;
    else at++;
  }
  return text.slice(start, at);
}

function after(index: number, text: string): number {
  return index < 0 ? text.length : index + 1;
}

function endOfDouble(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "$" && text[at + 1] === "(") at = closing(text, at + 2, "(", ")");
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

const NOTHING = new Map<string, string>();
const WRAPPERS = new Set(["env", "time", "exec", "sudo", "nice", "nohup", "eval", "corepack"]);

/** Base name of a command's program, and its arguments, without quotes, assignments and wrappers. */
export function programOf(command: Command): { readonly program: string; readonly args: readonly string[] } {
  const words = command.words.map((word) => expand(word, NOTHING));
  const start = words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word) && !WRAPPERS.has(word));
  const path = words[start];
  if (path === undefined) return { program: "", args: [] };
  return { program: path.slice(path.lastIndexOf("/") + 1), args: words.slice(start + 1) };
}
