/**
 * Reads files of environment variables by the rules of Docker Compose
 * (https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax). The package dotenv and
 * Node's own reader cut a value at every `#`, also within a password.
 */

/** What a file holds. */
export interface DotenvFile {
  readonly values: Readonly<Record<string, string>>;
  /** The line of each variable, counted from 1. */
  readonly lines: Readonly<Record<string, number>>;
  /** What cannot be read, with the line: `line 3: …`. Values are never shown. */
  readonly problems: readonly string[];
}

/** The text of a variable outside the file, such as one of this machine; undefined if it is not set. */
type Lookup = (name: string) => string | undefined;

const START = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(=|:[ \t]|$)[ \t]*/;
const QUOTED = { "'": /^'([^']*)'/, '"': /^"((?:\\[\s\S]|[^"\\])*)"/ } as const;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Parses the text of a file. A name without a value takes it from the environment, and is left out if it is not set there.
 *
 * @param lookup finds variables that the file refers to and does not set itself. Without it, values stay as they are
 * written, and a name without a value is left out.
 */
export function parseDotenv(text: string, lookup?: Lookup): DotenvFile {
  const values: Record<string, string> = {};
  const starts: Record<string, number> = {};
  const problems: string[] = [];
  const find = (name: string) => (Object.hasOwn(values, name) ? values[name] : lookup?.(name));
  const set = (name: string, value: string, at: number) => {
    values[name] = value;
    starts[name] = at + 1;
  };
  const lines = text
    .replace(/^\uFEFF/, "")
    .replaceAll("\r\n", "\n")
    .split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^[ \t]*(#|$)/.test(line)) continue;
    const where = `line ${at + 1}`;
    const [start, name = "", sign] = START.exec(line) ?? [];
    if (start === undefined) {
      problems.push(`${where}: not NAME=value, with a name of letters, digits, _, . and -`);
      continue;
    }
    if (sign === "") {
      const given = lookup?.(name);
      if (given !== undefined) set(name, given, at);
      continue;
    }
    const filled = (value: string, escapes = false) =>
      lookup ? expand(value, find, (what) => problems.push(`${where}: ${what}`), escapes) : value;
    const quote = line[start.length];
    if (quote !== "'" && quote !== '"') {
      const bare = line
        .slice(start.length)
        .replace(/(^|[ \t])#.*$/, "")
        .trimEnd();
      set(name, filled(bare), at);
      continue;
    }
    // A quoted value may have several lines. Most end in their own: the rest of the file is joined for the others alone.
    const own = line.slice(start.length);
    const rest = QUOTED[quote].test(own) ? own : [own, ...lines.slice(at + 1)].join("\n");
    const [whole, inner = ""] = QUOTED[quote].exec(rest) ?? [];
    if (whole === undefined) {
      problems.push(`${where}: the quote of ${name} does not end`);
      break;
    }
    const first = at;
    at += whole.split("\n").length - 1;
    const after = rest.slice(whole.length).split("\n", 1)[0] ?? "";
    if (!/^[ \t]*(#.*)?$/.test(after)) problems.push(`${where}: text after the closing quote of ${name}`);
    set(name, quote === "'" ? inner : filled(inner, true), first);
  }
  return { values, lines: starts, problems };
}

const REFERENCE =
  /\\([\s\S])|\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)/g;

/** Replaces `$NAME` and `${NAME:-default}`, and in double quotes escapes such as `\n`. */
function expand(text: string, find: Lookup, wrong: (what: string) => void, escapes = false): string {
  return text.replace(REFERENCE, (all, escaped, braced, operator = "", word = "", plain) => {
    if (escaped !== undefined) {
      if (escapes) return ESCAPES[escaped] ?? escaped;
      // Outside quotes a backslash has a meaning before a dollar sign alone.
      return escaped === "$" ? "$" : all;
    }
    if (all === "$$") return "$";
    const name = (braced ?? plain) as string;
    const value = find(name);
    const isSet = value !== undefined && !(operator.startsWith(":") && value === "");
    if (operator.endsWith("+")) return isSet ? word : "";
    if (isSet) return value;
    if (operator.endsWith("-")) return word;
    // Compose puts nothing in its place: a password with a dollar sign would be cut without a word.
    wrong(
      `$${name} is not set; write the value in single quotes if the dollar sign is meant, or $\{${name}:-}`,
    );
    return "";
  });
}
