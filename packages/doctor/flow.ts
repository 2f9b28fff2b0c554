import { type Command, splitCommands } from "../../freshness/dockerfile/shell";
import { fails, isHarmless } from "../../freshness/dockerfile/swallowed";
import { called, dockerCall, isPrune } from "./docker";

/** A command with the settings that decide the effect of its failure. */
export interface FlowCommand extends Command {
  /** `set -e` is in force. */
  readonly stops: boolean;
  /** `set +e` was used explicitly. */
  readonly isLax: boolean;
  /** `set -o pipefail` is in force. */
  readonly pipefail: boolean;
  /** What ignores a failure: `continue-on-error`, make's `-`. */
  readonly ignoredBy?: string;
  /** Whether it runs on a machine that is deleted after the job, and so keeps no layers. */
  readonly isHosted: boolean;
}

/** Commands that run in sequence: a script, the steps of a job, a recipe. */
export interface Flow {
  readonly path: string;
  /** The author's name for it: the file, or the workflow's name. */
  readonly name: string;
  readonly commands: readonly FlowCommand[];
  /** Whether any path through these scripts prunes the build cache. */
  readonly prunes: boolean;
  /** A job for pull requests or tests only. Its builds are not deployed. */
  readonly isCheck?: boolean;
}

/** A script and its position. */
export interface Script {
  readonly text: string;
  /** The line in the file where the script starts. */
  readonly line: number;
  /** Whether its shell runs with `-e`. */
  readonly stops: boolean;
  readonly pipefail?: boolean;
  readonly ignoredBy?: string;
  /** Whether its machine is deleted after the job. Default: no. */
  readonly isHosted?: boolean;
  /** Variables that are set outside the script. */
  readonly variables?: ReadonlyMap<string, string>;
}

const HEREDOC = /<<-?\s*(['"]?)([A-Za-z_]\w*)\1/;
/** Programs that run their input or argument as a script. */
const RUNNERS = /(^|[\s;&|(/])(ssh|bash|sh|dash|zsh)\s/;
const DEPTH = 5;
/** Limit for functions that call each other repeatedly and grow without end. */
const MOST = 5_000;

/**
 * The paths through scripts that run in sequence: one for each branch of a `case`, because branches exclude each other.
 */
export function flowsOf(path: string, name: string, scripts: readonly Script[]): Flow[] {
  const commands = scripts.flatMap((script) => {
    const shell = { stops: script.stops, isLax: false, pipefail: script.pipefail ?? false };
    const variables = new Map(script.variables);
    const known = parse(script.text, script.line, variables);
    const parsed = withState(known, shell, script.isHosted ?? false).map((command) =>
      script.ignoredBy === undefined ? command : { ...command, ignoredBy: script.ignoredBy },
    );
    const last = parsed.at(-1);
    // The next step starts after this one.
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

/**
 * Returns what lets a script continue after a command has failed, and the command where it continues; undefined if the
 * script ends.
 */
export function afterFailure(
  commands: readonly FlowCommand[],
  failed: number,
): { readonly by: string; readonly from: number } | undefined {
  const command = commands[failed];
  if (command === undefined) return undefined;
  if (command.ignoredBy !== undefined) return { by: command.ignoredBy, from: failed + 1 };
  if (isCondition(commands, failed)) {
    // A command that is retried until it succeeds.
    if (isRetried(commands, failed)) return undefined;
    const end = closingOf(commands, failed);
    // The same command again, whose failure ends the script.
    const isTriedAgain = commands
      .slice(failed + 1, end)
      .some(
        ({ words }, at) =>
          words.join(" ") === command.words.join(" ") && !afterFailure(commands, failed + 1 + at),
      );
    if (isTriedAgain) return undefined;
    return commands.slice(failed, end).some((each, at) => fails(each, ";") || isReturn(commands, failed + at))
      ? undefined
      : { by: "if", from: end + 1 };
  }
  let isListed = false;
  for (let at = failed; at < commands.length; at++) {
    let last = commands[at];
    while (last && /^[)}]$/.test(commands[at + 1]?.words[0] ?? "") && /^;?$/.test(last.next))
      last = commands[++at];
    if (last === undefined) break;
    const { next, endsBranch } = last;
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
      const closer = commands[group];
      const isQuiet = inside.every(isHarmless) && !(closer && fails(commands[group + 1], closer.next));
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
    if (
      rest.slice(0, 2).some(({ words }) => words.some((word) => /\$\?|LASTEXITCODE|ERRORLEVEL/i.test(word)))
    )
      return undefined;
    if (command.stops) return { by: "&&, in whose lists set -e does nothing", from };
    if (command.isLax) return { by: "set +e", from };
    const [first] = rest;
    if (first && isHarmless(first) && first.line === command.line)
      return { by: `; ${first.words.join(" ")}`, from };
    return { by: "no set -e", from };
  }
  return undefined;
}

function parse(text: string, firstLine: number, variables: Map<string, string>, depth = 0): Command[] {
  const commands = splitCommands(withoutArrays(withoutTexts(text))).map((command) => ({
    ...command,
    line: command.line + firstLine - 1,
  }));
  return commands.flatMap((written) => {
    const command = withVariables(written, variables);
    const inner = depth < DEPTH ? scriptIn(command) : undefined;
    if (inner === undefined) return [command];
    const parsed = parse(inner, command.line, variables, depth + 1);
    const last = parsed.at(-1);
    // The remote shell does not stop at a failure. Its status is that of its last command.
    const bounds = { line: command.line, writes: [], next: ";" };
    return last
      ? [
          { ...bounds, words: ["set", "+e", called(command).program === "ssh" ? "#remote" : "#inner"] },
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
  if (program === "ssh") {
    const joined = remoteWords(args);
    if (joined !== undefined) return joined;
  }
  const word = program === "ssh" ? args.at(-1) : args[at];
  // Without the quotes. A word without a space is a host name, not a command.
  return word !== undefined && /\s/.test(word.trim()) ? unquoted(command.words.at(-1) ?? "") : undefined;
}

/** The command of `ssh HOST docker restart app`, whose words are not quoted; undefined if it is one word. */
function remoteWords(args: readonly string[]): string | undefined {
  let at = 0;
  for (; args[at]?.startsWith("-"); at++) if (/^-[BbcDEeFIiJLlmOopQRSWw]$/.test(args[at] ?? "")) at++;
  const words = args.slice(at + 1);
  return words.length > 1 && words.every((word) => !/["'\s]/.test(word)) ? words.join(" ") : undefined;
}

function unquoted(word: string): string {
  if (word.startsWith("'")) return word.slice(1, -1);
  return word.startsWith('"') ? word.slice(1, -1).replace(/\\(["\\$`])/g, "$1") : word;
}

/** `DC=(docker compose)` as `DC="docker compose"`, for arrays of plain words. */
function withoutArrays(script: string): string {
  return script.replace(
    /^([ \t]*(?:(?:local|readonly|declare)(?: -\w+)*[ \t]+)?[A-Za-z_]\w*\+?=)\(([\w ./:@=-]*)\)/gm,
    '$1"$2"',
  );
}

/** Blanks the bodies of heredocs, except those that a shell runs. */
function withoutTexts(script: string): string {
  let end: string | undefined;
  let isRun = false;
  const lines = script.split("\n").map((line) => {
    if (end !== undefined) {
      if (line.trim() === end) {
        end = undefined;
        return isRun ? "set '#outer'" : "";
      }
      return isRun ? line : "";
    }
    const found = /^\s*#/.test(line) ? null : HEREDOC.exec(line);
    const [, , name] = found ?? [];
    if (!found || name === undefined || line.includes("<<<")) return line;
    end = name;
    const runner = RUNNERS.exec(`${line.slice(0, found.index)} `)?.[2];
    isRun = runner !== undefined;
    const started = line.replace(HEREDOC, "");
    if (!isRun || /[|&\\]\s*$/.test(started)) return started;
    // The other shell has its own state.
    return `${started}; set +e '#${runner === "ssh" ? "remote" : "inner"}'`;
  });
  return lines.join("\n");
}

interface State {
  readonly stops: boolean;
  readonly isLax: boolean;
  readonly pipefail: boolean;
  readonly isHosted: boolean;
}

function withState(
  commands: readonly Command[],
  start: Omit<State, "isHosted">,
  isHosted: boolean,
): FlowCommand[] {
  const outer: State[] = [];
  let state: State = { ...start, isHosted };
  return commands.map((command) => {
    const { program, args } = called(command);
    if (program === "set" && args[0] === "#outer") state = outer.pop() ?? state;
    else if (program === "set" && (args[1] === "#inner" || args[1] === "#remote")) {
      outer.push(state);
      // The remote side of ssh is a server.
      const remains = args[1] === "#inner" && state.isHosted;
      state = { stops: false, isLax: false, pipefail: false, isHosted: remains };
    } else if (program === "set") state = { ...state, ...changed(state, args) };
    return { ...command, ...state };
  });
}

/** Variable names that usually hold docker commands, used if their value is unknown. */
const USUAL: readonly [RegExp, string][] = [
  [/^(DOCKER_?)?COMPOSE(_?(CMD|COMMAND|BIN|EXEC))?$|^DC(_CMD)?$/i, "docker compose"],
  [/^(DOCKER|PODMAN|CONTAINER)(_?(CMD|COMMAND|BIN|EXEC|ENGINE|RUNTIME|TOOL|CLI))?$/i, "docker"],
];
const REFERENCE = /\$(?:\{([A-Za-z_]\w*)(?::?-[^{}]*)?\}|([A-Za-z_]\w*))/g;

/** Substitutes variables that a script has set before: `COMPOSE="docker compose -f x.yml"; $COMPOSE up`. */
function withVariables(command: Command, variables: Map<string, string>): Command {
  const declares = /^(export|readonly|local|declare|typeset)$/.test(command.words[0] ?? "");
  const set = command.words.slice(declares ? 1 : 0);
  if (set.length > 0 && set.every((word) => /^[A-Za-z_]\w*\+?=/.test(word)))
    for (const word of set) {
      const at = word.indexOf("=");
      const value = unquoted(word.slice(at + 1));
      const name = word.slice(0, at).replace(/\+$/, "");
      const known = substituted(value, variables);
      variables.set(name, word[at - 1] === "+" ? `${variables.get(name) ?? ""}${known}` : known);
    }
  if (!command.words.some((word) => word.includes("$"))) return command;
  let isFirst = true;
  const words = command.words.flatMap((word) => {
    const bare = /^"?\$(?:\{([A-Za-z_]\w*)(?:\[@\])?(?::?-([^{}]*))?\}|([A-Za-z_]\w*))"?$/.exec(word);
    const name = bare?.[1] ?? bare?.[3];
    const wasFirst = isFirst;
    if (!/^[A-Za-z_]\w*=|^-/.test(word) && !CARRIES.test(word)) isFirst = false;
    if (name !== undefined && wasFirst) {
      const value = variables.get(name) ?? bare?.[2] ?? USUAL.find(([pattern]) => pattern.test(name))?.[1];
      if (value === undefined || /[`(|;&]/.test(value) || value.length > LONGEST) return [word];
      const split = value.split(/\s+/).filter((part) => part !== "");
      return split.length > 0 ? split : [word];
    }
    const plain = substituted(word, variables);
    return [plain];
  });
  return { ...command, words };
}

const CARRIES = /^(sudo|exec|time|env|nohup|nice|command|timeout|retry|doas|!)$/;
/** Length limit, because a variable can contain itself several times. */
const LONGEST = 1000;

/** The text with variables substituted if their values are plain. */
function substituted(text: string, variables: ReadonlyMap<string, string>): string {
  if (!text.includes("$") || text.startsWith("'")) return text;
  const filled = text.replace(REFERENCE, (whole, braced?: string, plain?: string) => {
    const value = variables.get(braced ?? plain ?? "");
    return value !== undefined && /^[\w./:@+=, -]*$/.test(value) && value !== "" ? value : whole;
  });
  return filled.length > LONGEST ? text : filled;
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

/** Replaces calls of functions with their bodies. Keeps a function that is never called as it is. */
function inlined(commands: readonly FlowCommand[]): FlowCommand[][] {
  const functions = new Map<string, readonly FlowCommand[]>();
  const main: FlowCommand[] = [];
  let at = 0;
  for (let command = commands[at]; command; command = commands[++at]) {
    const { words } = command;
    const name = words[0] === "function" ? words[1] : words[0];
    const bracket = [1, 2, 3].find((step) => commands[at + step]?.words[0] === "{");
    const between = bracket === undefined ? [] : commands.slice(at + 1, at + bracket);
    const isNamed = words.length === (words[0] === "function" ? 2 : 1) && /^[\w-]+$/.test(name ?? "");
    const isHead = isNamed && between.every(({ words: [word = ""] }) => /^[()]$/.test(word));
    const isFunction = isHead && (between.length > 0 || words[0] === "function");
    if (name === undefined || bracket === undefined || !isFunction) {
      main.push(command);
      continue;
    }
    const end = closerOf(commands, at + bracket);
    functions.set(name, commands.slice(at + bracket + 1, end));
    at = end;
  }
  const used = new Set<string>();
  let total = 0;
  const open = (list: readonly FlowCommand[], depth: number): FlowCommand[] =>
    list.flatMap((command) => {
      const [name] = command.words;
      const body = name === undefined ? undefined : functions.get(name);
      if (name === undefined || !body || body.length === 0 || depth > DEPTH || total > MOST) return [command];
      used.add(name);
      const opened = open(
        body.map((each) => withArguments(each, command.words.slice(1))),
        depth + 1,
      );
      total += opened.length;
      return opened.map((each, index) => ({
        ...each,
        ...(index === opened.length - 1 && { next: command.next }),
        // The caller's settings apply in the function too.
        ...(command.stops && { stops: true }),
      }));
    });
  const opened = open(main, 0);
  const unused = [...functions].filter(([name]) => !used.has(name)).map(([, body]) => [...body]);
  return [opened, ...unused];
}

/** A function's command with the arguments of the call. */
function withArguments(command: FlowCommand, given: readonly string[]): FlowCommand {
  if (!command.words.some((word) => word.includes("$"))) return command;
  const words = command.words.flatMap((word) => {
    if (/^"?\$\{?[@*]\}?"?$/.test(word)) return given;
    const position = /^"?\$\{?([1-9])\}?"?$/.exec(word)?.[1];
    return position === undefined ? [word] : (given[Number(position) - 1] ?? word);
  });
  return { ...command, words };
}

function branches(commands: readonly FlowCommand[]): (readonly FlowCommand[])[] {
  const start = commands.findIndex(({ words }) => words[0] === "case");
  const end = commands.findIndex(({ words }, at) => at > start && words[0] === "esac");
  if (start < 0 || end < 0) return [commands];
  let open: FlowCommand[] = [];
  const between = [open];
  for (const command of commands.slice(start + 1, end)) {
    open.push(command);
    if (!command.endsBranch) continue;
    open = [];
    between.push(open);
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

/** The `fi` or `done` that closes the condition. */
function closingOf(commands: readonly FlowCommand[], from: number): number {
  let depth = 1;
  let at = from;
  for (let command = commands[at]; command; command = commands[++at]) {
    const [word = ""] = command.words;
    if (/^(if|while|until|for)$/.test(word)) depth++;
    if (/^(fi|done)$/.test(word) && --depth === 0) return at;
  }
  return commands.length;
}

function closerOf(commands: readonly FlowCommand[], from: number): number {
  const open = commands[from]?.words[0];
  const close = open === "{" ? "}" : ")";
  let depth = 0;
  let at = from;
  for (let command = commands[at]; command; command = commands[++at]) {
    if (command.words[0] === open) depth++;
    if (command.words[0] === close && --depth === 0) return at;
  }
  return commands.length - 1;
}

function isReturn(commands: readonly Command[], at: number): boolean {
  const [program, status = "1"] = commands[at]?.words ?? [];
  return (program === "return" || program === "exit") && status !== "0";
}
