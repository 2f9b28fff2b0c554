/** Variables and their values at one point of a build. */
export type Values = ReadonlyMap<string, string>;

/** Index of the closing bracket for text that starts at `start`; the text's length without one. */
export function closing(text: string, start: number, open: string, close: string): number {
  let depth = 1;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === open) depth++;
    else if (text[at] === close && --depth === 0) return at;
  }
  return text.length;
}

/**
 * Expands one word as BuildKit does in all instructions except RUN: `$X`, `${X}`, `${X:-w}`, `${X:+w}`. Single quotes
 * keep everything. Double quotes keep everything except `$` and escapes.
 * @param unknown result of an expansion that this function cannot compute (`${X%%?}`), given the variable's value
 */
export function expand(
  word: string,
  values: Values,
  escapeChar = "\\",
  unknown: (value: string) => string = () => "",
): string {
  let result = "";
  let double = false;
  for (let at = 0; at < word.length; at++) {
    const char = word.charAt(at);
    if (char === "'" && !double) {
      const end = word.indexOf("'", at + 1);
      result += word.slice(at + 1, end < 0 ? word.length : end);
      at = end < 0 ? word.length : end;
    } else if (char === '"') double = !double;
    else if (char === escapeChar) {
      const next = word[++at];
      if (next === undefined) break;
      result += double && next !== '"' && next !== "$" && next !== escapeChar ? char + next : next;
    } else if (char === "$") {
      const [value, end] = variable(word, at, values, escapeChar, unknown);
      result += value;
      at = end;
    } else result += char;
  }
  return result;
}

/** Expands the variable that starts at a `$`. Returns its text and the index of its last character. */
function variable(
  word: string,
  start: number,
  values: Values,
  escapeChar: string,
  unknown: (value: string) => string,
): [string, number] {
  if (word[start + 1] !== "{") {
    const name = /^([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/.exec(word.slice(start + 1))?.[0];
    return name === undefined ? ["$", start] : [values.get(name) ?? "", start + name.length];
  }
  const end = closing(word, start + 2, "{", "}");
  const inside = word.slice(start + 2, end);
  const [, name, modifier, rest = ""] =
    /^([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])([\s\S]*))?$/.exec(inside) ?? [];
  if (name === undefined) {
    const other = /^#?([A-Za-z_][A-Za-z0-9_]*)/.exec(inside)?.[1];
    return [other === undefined ? "" : unknown(values.get(other) ?? ""), end];
  }
  const value = values.get(name);
  // With a colon an empty value counts as none.
  const set = modifier?.startsWith(":") && value === "" ? undefined : value;
  const other = () => expand(rest, values, escapeChar, unknown);
  if (modifier?.endsWith("-")) return [set ?? other(), end];
  if (modifier?.endsWith("+")) return [set === undefined ? "" : other(), end];
  return [value ?? "", end];
}

/** Splits at white space outside quotes. Quotes and escapes stay in the words. */
export function splitWords(text: string, escapeChar = "\\"): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote === "" && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    word += char;
    if (char === escapeChar && quote !== "'") word += text[++at] ?? "";
    else if (quote === char) quote = "";
    else if (quote === "" && (char === "'" || char === '"')) quote = char;
  }
  if (word !== "") words.push(word);
  return words;
}

/**
 * Words of a command line without a shell, split at spaces outside quotes. The quotes are removed. `$` is an ordinary
 * character.
 */
export function commandWords(text: string): string[] {
  return splitWords(text).map((word) => {
    let result = "";
    for (const [part] of word.matchAll(/'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^'"\\]+|./gs)) {
      if (part.length > 1 && part.startsWith("'")) result += part.slice(1, -1);
      else if (part.length > 1 && part.startsWith('"'))
        result += part.slice(1, -1).replace(/\\(["\\$`])/g, "$1");
      else if (part.length > 1 && part.startsWith("\\")) result += part.slice(1);
      else result += part;
    }
    return result;
  });
}

/** Assignments of an ENV or ARG, unexpanded: `A=b C="d e"`, `A` alone, or the old `A d e` of ENV. */
export function assignments(
  text: string,
  keyword: "ENV" | "ARG",
  escapeChar = "\\",
): { readonly name: string; readonly value?: string }[] {
  const words = splitWords(text, escapeChar);
  const first = words[0] ?? "";
  if (keyword === "ENV" && !first.includes("="))
    return [{ name: first, value: text.trim().slice(first.length).trim() }];
  return words.map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? { name: word } : { name: word.slice(0, at), value: word.slice(at + 1) };
  });
}
