import { type Command, splitCommands } from "../freshness/dockerfile/shell";
import { fails, isHarmless } from "../freshness/dockerfile/swallowed";
import { called, dockerCall, isPrune } from "./docker";

/** A command with what decides about a failure of it. */
export interface FlowCommand extends Command {
  /** `set -e` is in force. */
  readonly stops: boolean;
  /** `set +e` was said. */
  readonly isLax: boolean;
  /** `set -o pipefail` is in force. */
  readonly pipefail: boolean;
  /** What lets all go on whatever the command says: `continue-on-error`, make's `-`. */
  readonly ignoredBy?: string;
}

/** Commands that run one after the other: a script, the steps of a job, a recipe. */
export interface Flow {
  readonly path: string;
  /** What the author calls it: the file, the workflow's name. */
  readonly name: string;
  readonly commands: readonly FlowCommand[];
  /** Whether any way through these scripts prunes the build cache. */
  readonly prunes: boolean;
}

/** A script and where it stands. */
export interface Script {
  readonly text: string;
  /** The line of the file that its first line is. */
  readonly line: number;
  /** Whether its shell runs with `-e`. */
  readonly stops: boolean;
  readonly pipefail?: boolean;
  readonly ignoredBy?: string;
}

const HEREDOC = /<<-?\s*(['"]?)([A-Za-z_]\w*)\1/;
/** Programs that run what is given to them. */
const RUNNERS = /(^|[\s;&|(/])(ssh|bash|sh|dash|zsh)\s/;
const DEPTH = 5;

/** The ways through scripts that run one after the other: one for each branch of a `case`, which do not meet. */
export function flowsOf(path: string, name: string, scripts: readonly Script[]): Flow[] {
  const commands = scripts.flatMap((script) => {
    const shell = { stops: script.stops, isLax: false, pipefail: script.pipefail ?? false };
    const parsed = withState(parse(script.text, script.line), shell).map((command) =>
      script.ignoredBy === undefined ? command : { ...command, ignoredBy: script.ignoredBy },
    );
    const last = parsed.at(-1);
    // The next step begins where this one has ended.
    return last ? [...parsed.slice(0, -1), { ...last, next: ";" }] : [];
  });
  const last = commands.at(-1);
  const ended = last ? [...commands.slice(0, -1), { ...last, next: "" }] : [];
  const prunes = ended.some((command) => {
    const call = dockerCall(command);
    return call !== undefined && isPrune(call);
  });
  return inlined(ended)
    .flatMap(branches)
    .map((each) => ({ path, name, commands: each, prunes }));
}

/** What lets a script go on after a command has failed, and with which command; undefined where it ends there. */
export function afterFailure(
  commands: readonly FlowCommand[],
  failed: number,
): { readonly by: string; readonly from: number } | undefined {
  const command = commands[failed]!;
  if (command.ignoredBy !== undefined) return { by: command.ignoredBy, from: failed + 1 };
  if (isCondition(commands, failed)) {
    // What is tried until it succeeds.
    if (isRetried(commands, failed)) return undefined;
    const end = closingOf(commands, failed);
    return commands.slice(failed, end).some((each, at) => fails(each, ";") || isReturn(commands, failed + at))
      ? undefined
      : { by: "if", from: end + 1 };
  }
  let isListed = false;
  for (let at = failed; at < commands.length; at++) {
    while (/^[)}]$/.test(commands[at + 1]?.words[0] ?? "") && /^;?$/.test(commands[at]!.next)) at++;
    const { next, endsBranch } = commands[at]!;
    const following = commands[at + 1];
    if (next === "&") return { by: "&", from: at + 1 };
    if (next === "|" && following && !command.pipefail)
      return { by: `| ${following.words.join(" ")}, without pipefail`, from: at + 2 };
    if (next === "||" && following) {
      const group =
        following.words[0] === "{" || following.words[0] === "(" ? closerOf(commands, at + 1) : at + 1;
      const inside = commands
        .slice(at + 1, group + 1)
        .filter(({ words }) => !/^[(){}]$/.test(words[0] ?? ""));
      const ends = inside.some((each, index) => fails(each, ";") || isReturn(inside, index));
      const isQuiet = inside.every(isHarmless) && !fails(commands[group + 1], commands[group]!.next);
      return isQuiet && !ends
        ? { by: `|| ${inside.map(({ words }) => words.join(" ")).join("; ")}`, from: group + 1 }
        : undefined;
    }
    if (next === "&&") isListed = true;
    if (next !== ";") continue;
    const from = endsBranch
      ? commands.findIndex(({ words }, i) => i > at && words[0] === "esac") + 1
      : at + 1;
    const rest = commands.slice(from);
    if (rest.length === 0 || (endsBranch && from === 0)) return undefined;
    if (command.stops && !isListed) return undefined;
    if (rest.slice(0, 2).some(({ words }) => words.some((word) => word.includes("$?")))) return undefined;
    if (command.stops) return { by: "&&, in whose lists set -e does nothing", from };
    if (command.isLax) return { by: "set +e", from };
    const [first] = rest;
    if (first && isHarmless(first) && first.line === command.line)
      return { by: `; ${first.words.join(" ")}`, from };
    return { by: "no set -e", from };
  }
  return undefined;
}

function parse(text: string, firstLine: number, depth = 0): Command[] {
  const commands = splitCommands(withoutTexts(text)).map((command) => ({
    ...command,
    line: command.line + firstLine - 1,
  }));
  return commands.flatMap((command) => {
    const inner = depth < DEPTH ? scriptIn(command) : undefined;
    if (inner === undefined) return [command];
    const parsed = parse(inner, command.line, depth + 1);
    const last = parsed.at(-1);
    // On the other side nothing stops, and the status is that of the last command.
    const bounds = { line: command.line, writes: [], next: ";" };
    return last
      ? [
          { ...bounds, words: ["set", "+e", "#inner"] },
          ...parsed.slice(0, -1),
          { ...last, next: command.next },
          ...(/^;?$/.test(command.next) ? [{ ...bounds, words: ["set", "#outer"], next: command.next }] : []),
        ]
      : [command];
  });
}

/** The script that `ssh host '…'` or `sh -c '…'` runs. */
function scriptIn(command: Command): string | undefined {
  const { program, args } = called(command);
  const at = /^(ba|da|z)?sh$/.test(program) ? args.findIndex((arg) => /^-[a-z]*c$/.test(arg)) + 1 : 0;
  if (at === 0 && program !== "ssh") return undefined;
  const word = program === "ssh" ? args.at(-1) : args[at];
  // With the quotes gone; a command without a space is a host's name.
  return word !== undefined && /\s/.test(word.trim()) ? unquoted(command.words.at(-1) ?? "") : undefined;
}

function unquoted(word: string): string {
  if (word.startsWith("'")) return word.slice(1, -1);
  return word.startsWith('"') ? word.slice(1, -1).replace(/\\(["\\$`])/g, "$1") : word;
}

/** Blanks the bodies of heredocs that are only texts; those that a shell runs stay as commands. */
function withoutTexts(script: string): string {
  let end: string | undefined;
  let isRun = false;
  const lines = script.split("\n").map((line) => {
    if (end !== undefined) {
      if (line.trim() === end) {
        end = undefined;
        return "";
      }
      return isRun ? line : "";
    }
    const found = /^\s*#/.test(line) ? null : HEREDOC.exec(line);
    if (!found || line.includes("<<<")) return line;
    end = found[2]!;
    isRun = RUNNERS.test(`${line.slice(0, found.index)} `);
    return line.replace(HEREDOC, "");
  });
  return lines.join("\n");
}

function withState(
  commands: readonly Command[],
  start: { stops: boolean; isLax: boolean; pipefail: boolean },
): FlowCommand[] {
  const outer: (typeof start)[] = [];
  let state = start;
  return commands.map((command) => {
    const { program, args } = called(command);
    if (program === "set" && args[0] === "#outer") state = outer.pop() ?? state;
    else if (program === "set" && args[1] === "#inner") {
      outer.push(state);
      state = { stops: false, isLax: false, pipefail: false };
    } else if (program === "set") state = changed(state, args);
    return { ...command, ...state };
  });
}

function changed(state: { stops: boolean; isLax: boolean; pipefail: boolean }, args: readonly string[]) {
  const on = args.some((arg, at) => /^-[a-zA-Z]*e/.test(arg) || (arg === "errexit" && args[at - 1] === "-o"));
  const off = args.some(
    (arg, at) => /^\+[a-zA-Z]*e/.test(arg) || (arg === "errexit" && args[at - 1] === "+o"),
  );
  return {
    stops: on || (state.stops && !off),
    isLax: off || (state.isLax && !on),
    pipefail: state.pipefail || args.includes("pipefail"),
  };
}

/** Puts the bodies of functions where they are called. One that nobody calls stands for itself. */
function inlined(commands: readonly FlowCommand[]): FlowCommand[][] {
  const functions = new Map<string, readonly FlowCommand[]>();
  const main: FlowCommand[] = [];
  for (let at = 0; at < commands.length; at++) {
    const words = commands[at]!.words;
    const name = words[0] === "function" ? words[1] : words[0];
    const bracket = [1, 2, 3].find((step) => commands[at + step]?.words[0] === "{");
    const between = bracket === undefined ? [] : commands.slice(at + 1, at + bracket);
    const isNamed = words.length === (words[0] === "function" ? 2 : 1) && /^[\w-]+$/.test(name ?? "");
    const isHead = isNamed && between.every(({ words: [word = ""] }) => /^[()]$/.test(word));
    if (bracket === undefined || !isHead || (between.length === 0 && words[0] !== "function")) {
      main.push(commands[at]!);
      continue;
    }
    const end = closerOf(commands, at + bracket);
    functions.set(name!, commands.slice(at + bracket + 1, end));
    at = end;
  }
  const used = new Set<string>();
  const open = (list: readonly FlowCommand[], depth: number): FlowCommand[] =>
    list.flatMap((command) => {
      const body = command.words.length > 0 ? functions.get(command.words[0]!) : undefined;
      if (!body || body.length === 0 || depth > DEPTH) return [command];
      used.add(command.words[0]!);
      const opened = open(body, depth + 1);
      const { stops, isLax, pipefail } = command;
      const state = { stops, isLax, pipefail };
      return opened.map((each, at) => ({
        ...each,
        ...(at === opened.length - 1 && { next: command.next }),
        // What the caller said holds in the function too.
        ...(state.stops && { stops: true }),
      }));
    });
  const opened = open(main, 0);
  const unused = [...functions].filter(([name]) => !used.has(name)).map(([, body]) => [...body]);
  return [opened, ...unused];
}

function branches(commands: readonly FlowCommand[]): (readonly FlowCommand[])[] {
  const start = commands.findIndex(({ words }) => words[0] === "case");
  const end = commands.findIndex(({ words }, at) => at > start && words[0] === "esac");
  if (start < 0 || end < 0) return [commands];
  const between: FlowCommand[][] = [[]];
  for (const command of commands.slice(start + 1, end)) {
    between.at(-1)!.push(command);
    if (command.endsBranch) between.push([]);
  }
  return between
    .filter((branch) => branch.length > 0)
    .map((branch) => [...commands.slice(0, start), ...branch, ...commands.slice(end)]);
}

function isCondition(commands: readonly FlowCommand[], at: number): boolean {
  const [before, earlier] = [commands[at - 1]?.words[0], commands[at - 2]?.words[0]];
  return (
    /^(if|while|until|elif)$/.test(before ?? "") ||
    (before === "!" && /^(if|while|until)$/.test(earlier ?? ""))
  );
}

function isRetried(commands: readonly FlowCommand[], at: number): boolean {
  const [before, earlier] = [commands[at - 1]?.words[0], commands[at - 2]?.words[0]];
  return before === "until" || (before === "!" && earlier === "while");
}

/** The `fi` or `done` that ends what the condition began. */
function closingOf(commands: readonly FlowCommand[], from: number): number {
  let depth = 1;
  for (let at = from; at < commands.length; at++) {
    const word = commands[at]!.words[0] ?? "";
    if (/^(if|while|until|for)$/.test(word)) depth++;
    if (/^(fi|done)$/.test(word) && --depth === 0) return at;
  }
  return commands.length;
}

function closerOf(commands: readonly FlowCommand[], from: number): number {
  const open = commands[from]!.words[0]!;
  const close = open === "{" ? "}" : ")";
  let depth = 0;
  for (let at = from; at < commands.length; at++) {
    if (commands[at]!.words[0] === open) depth++;
    if (commands[at]!.words[0] === close && --depth === 0) return at;
  }
  return commands.length - 1;
}

function isReturn(commands: readonly Command[], at: number): boolean {
  const [program, status = "1"] = commands[at]?.words ?? [];
  return (program === "return" || program === "exit") && status !== "0";
}
