import { DockerfileParser } from "dockerfile-ast";

/** A text below an instruction, `<<EOF` … `EOF`. */
interface Heredoc {
  readonly body: string;
  /** `<<'EOF'`: no variable in it is expanded. */
  readonly quoted: boolean;
}

/** One instruction, with its lines joined and its comments removed. */
export interface Step {
  /** Starts at 1. */
  readonly line: number;
  /** Upper case. */
  readonly keyword: string;
  readonly flags: readonly { readonly name: string; readonly value: string }[];
  /** Arguments after the flags. */
  readonly text: string;
  /** Arguments in JSON form; absent otherwise. */
  readonly json?: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** The instruction after ONBUILD. */
  readonly trigger?: Step;
}

export interface Stage {
  readonly index: number;
  /** Lower case, as BuildKit stores it; empty for a stage without a name. */
  readonly name: string;
  /** The base as written, including variables. */
  readonly base: string;
  readonly line: number;
  readonly steps: readonly Step[];
}

export interface ParsedDockerfile {
  readonly escapeChar: string;
  /** ARGs before the first FROM. */
  readonly globals: readonly Step[];
  readonly stages: readonly Stage[];
  /** What BuildKit would reject. */
  readonly problems: readonly { readonly line: number; readonly what: string }[];
}

const KEYWORDS = new Set(
  "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split(
    " ",
  ),
);
const WITH_FLAGS = new Set(["FROM", "COPY", "ADD", "RUN", "HEALTHCHECK"]);
const WITH_HEREDOCS = new Set(["COPY", "ADD", "RUN"]);
const HEREDOC = /^\d*<<(-?)(['"]?)([A-Za-z_][\w.-]*)\2$/;
/** Has the length of `<<` and occurs in no Dockerfile. */
const MASK = "\uE000\uE001";

/** Maximum length of a Dockerfile. Parsing a longer one takes seconds, and no person writes one. */
const LONGEST = 256 * 1024;

/** How many characters may be parsed again: the file is for each heredoc without an end. 32 of them in a file of 4 KiB. */
const MOST_AGAIN = 128 * 1024;

const parsed = new Map<string, ParsedDockerfile>();

/**
 * Parses a Dockerfile into stages of steps. It never throws: `problems` lists what BuildKit would reject. It parses
 * each text once, because several rules of a deploy read the same few files.
 */
export function parseDockerfile(source: string): ParsedDockerfile {
  const known = parsed.get(source) ?? parse(source);
  parsed.set(source, known);
  return known;
}

function parse(source: string): ParsedDockerfile {
  if (source.length > LONGEST) return unparsed(`the file is longer than ${LONGEST / 1024} KiB`);
  // BuildKit ends a line only at a line feed and treats any other carriage return as white space. The parser treats it
  // as a line's end.
  const text = maskStrayHeredocs(source.replace(/\r\n/g, "\n").replaceAll("\r", " "));
  if (text === undefined) return unparsed("too many heredocs have no end");
  const ast = DockerfileParser.parse(text);
  const lines = text.split("\n");
  const escapeChar = ast.getEscapeCharacter();
  const globals: Step[] = [];
  const stages: (Stage & { steps: Step[] })[] = [];
  const problems: { line: number; what: string }[] = [];
  for (const instruction of ast.getInstructions()) {
    const { start, end } = instruction.getRange();
    const raw = lines
      .slice(start.line, end.line + 1)
      .map((line, at) => (at === 0 ? line.slice(start.character) : line));
    const stage = stages.at(-1);
    const step = toStep(raw, start.line + 1, escapeChar);
    const what = problemOf(step, stage === undefined);
    if (what !== undefined) problems.push({ line: step.line, what });
    else if (step.keyword === "FROM") {
      const [base = "", , name = ""] = step.text.trim().split(/\s+/);
      stages.push({ index: stages.length, name: name.toLowerCase(), base, line: step.line, steps: [] });
    } else if (stage) stage.steps.push(step);
    else globals.push(step);
  }
  if (stages.length === 0 && problems.length === 0) problems.push({ line: 1, what: "there is no FROM" });
  return { escapeChar, globals, stages, problems };
}

/** A file that is refused as a whole. */
function unparsed(what: string): ParsedDockerfile {
  return { escapeChar: "\\", globals: [], stages: [], problems: [{ line: 1, what }] };
}

/**
 * The parser treats a `<<EOF` inside a quoted word as the start of a heredoc and consumes the rest of the file.
 * BuildKit does not. If a heredoc has no end, this function hides its `<<` and parses the file again.
 *
 * @returns undefined with too many of them
 */
function maskStrayHeredocs(source: string): string | undefined {
  let text = source;
  for (let read = 0; read <= MOST_AGAIN; read += text.length) {
    const lines = text.split("\n");
    const ast = DockerfileParser.parse(text);
    const last = ast.getInstructions().at(-1);
    if (!last) return text;
    const { start, end } = last.getRange();
    const raw = lines.slice(start.line, end.line + 1);
    const { head, tail } = logical(raw, ast.getEscapeCharacter());
    const delimiters = delimitersOf(head);
    const isWhole =
      delimiters.length > 0 && delimiters.every(({ name, tabs }) => tail.some(isEnd(name, tabs)));
    if (tail.length === 0 || isWhole) return text;
    const from = lines.slice(0, start.line).join("\n").length;
    const at = text.indexOf("<<", from);
    if (at < 0) return text;
    text = text.slice(0, at) + MASK + text.slice(at + 2);
  }
  return undefined;
}

function toStep(raw: readonly string[], line: number, escapeChar: string): Step {
  const { head, tail } = logical(raw, escapeChar);
  const { step, delimiters } = readHead(head.replaceAll(MASK, "<<"), line);
  return tail.length === 0 ? step : withHeredocs(step, delimiters, tail);
}

function readHead(head: string, line: number): { step: Step; delimiters: readonly Delimiter[] } {
  const [, word = "", rest = ""] = /^\s*(\S+)\s*([\s\S]*)$/.exec(head) ?? [];
  const keyword = word.toUpperCase();
  if (keyword === "ONBUILD") {
    const { step: trigger, delimiters } = readHead(rest, line);
    return { step: { line, keyword, flags: [], text: rest, heredocs: [], trigger }, delimiters };
  }
  const { flags, text } = WITH_FLAGS.has(keyword) ? splitFlags(rest) : { flags: [], text: rest };
  const json = jsonWords(text);
  const delimiters = WITH_HEREDOCS.has(keyword) ? delimitersOf(text) : [];
  return {
    step: { line, keyword, flags, text: text.trim(), ...(json && { json }), heredocs: [] },
    delimiters,
  };
}

function withHeredocs(step: Step, delimiters: readonly Delimiter[], tail: readonly string[]): Step {
  if (step.trigger) return { ...step, trigger: withHeredocs(step.trigger, delimiters, tail) };
  const rest = [...tail];
  const heredocs = delimiters.map(({ name, tabs, quoted }) => {
    const end = rest.findIndex(isEnd(name, tabs));
    const body = rest.splice(0, end < 0 ? rest.length : end + 1).slice(0, end < 0 ? undefined : -1);
    return { quoted, body: body.map((text) => `${tabs ? text.replace(/^\t+/, "") : text}\n`).join("") };
  });
  return { ...step, heredocs };
}

/** Joins continued lines, without the comments between them. The remaining lines are the bodies of heredocs. */
function logical(raw: readonly string[], escapeChar: string): { head: string; tail: readonly string[] } {
  let head = "";
  for (const [at, text] of raw.entries()) {
    if (at > 0 && /^\s*(#|$)/.test(text)) continue;
    const trimmed = text.replace(/[ \t]+$/, "");
    if (!trimmed.endsWith(escapeChar)) return { head: head + text, tail: raw.slice(at + 1) };
    head += trimmed.slice(0, -1);
  }
  return { head, tail: [] };
}

interface Delimiter {
  readonly name: string;
  readonly tabs: boolean;
  readonly quoted: boolean;
}

function delimitersOf(text: string): Delimiter[] {
  return text.split(/\s+/).flatMap((word) => {
    const [, dash, quote, name] = HEREDOC.exec(word) ?? [];
    return name === undefined ? [] : [{ name, tabs: dash === "-", quoted: quote !== "" }];
  });
}

/** Whether a word of an instruction starts a heredoc. */
export function isHeredoc(word: string): boolean {
  return HEREDOC.test(word);
}

function isEnd(name: string, tabs: boolean): (line: string) => boolean {
  return (line) => (tabs ? line.replace(/^\t+/, "") : line) === name;
}

function splitFlags(rest: string): { flags: { name: string; value: string }[]; text: string } {
  const flags: { name: string; value: string }[] = [];
  let text = rest.trimStart();
  for (;;) {
    const [whole, name, value = "true"] =
      /^--([A-Za-z][A-Za-z0-9-]*)(?:=((?:"[^"]*"|'[^']*'|\S)*))?(?:\s+|$)/.exec(text) ?? [];
    if (whole === undefined || name === undefined) return { flags, text };
    flags.push({ name: name.toLowerCase(), value: value.replace(/["']/g, "") });
    text = text.slice(whole.length);
  }
}

function jsonWords(text: string): string[] | undefined {
  if (!text.trimStart().startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const isList = Array.isArray(value) && value.every((word) => typeof word === "string");
    return isList ? (value as string[]) : undefined;
  } catch {
    return undefined;
  }
}

function problemOf(step: Step, beforeFrom: boolean): string | undefined {
  if (!KEYWORDS.has(step.keyword))
    return beforeFrom && step.text === "" && step.keyword.includes("/")
      ? `it holds a path, as a symbolic link does that was committed as a file (git config core.symlinks true, then "ln -sf" and commit)`
      : `${step.keyword} is not a Dockerfile instruction`;
  if (step.text === "" && step.heredocs.length === 0) return `${step.keyword} has no arguments`;
  if (beforeFrom && step.keyword !== "FROM" && step.keyword !== "ARG")
    return `${step.keyword} stands before the first FROM`;
  if (step.trigger) return problemOf(step.trigger, false);
  const words = step.json ?? step.text.split(/\s+/);
  if (
    step.keyword === "FROM" &&
    words.length !== 1 &&
    !(words.length === 3 && words[1]?.toLowerCase() === "as")
  )
    return "FROM must be FROM image, or FROM image AS name";
  if ((step.keyword === "COPY" || step.keyword === "ADD") && words.length < 2)
    return `${step.keyword} needs a source and a destination`;
  return undefined;
}
