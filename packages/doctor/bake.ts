import { parseYaml } from "./yaml";

/** A target of a bake file. */
export interface BakeTarget {
  readonly path: string;
  readonly name: string;
  readonly line: number;
  /** Values of a key: a string, the items of a list, or `NAME=value` of a map. */
  readonly values: ReadonlyMap<string, { readonly texts: readonly string[]; readonly line: number }>;
}

export const isBakeFile = (path: string) =>
  /(^|\/)docker-bake(\.[\w-]+)*\.(hcl|json)$|(^|\/)[\w.-]*bake[\w.-]*\.hcl$/.test(path);

/** The targets of a bake file, including inherited keys. */
export function bakeTargets(path: string, text: string): BakeTarget[] {
  const targets = path.endsWith(".json") ? fromJson(path, text) : fromHcl(path, text);
  const byName = new Map(targets.map((target) => [target.name, target]));
  const whole = (target: BakeTarget, depth: number): BakeTarget => {
    const parents = target.values.get("inherits")?.texts ?? [];
    if (depth > 5) return target;
    const inherited = parents.flatMap((name) => {
      const parent = byName.get(name);
      return parent && parent !== target ? [...whole(parent, depth + 1).values] : [];
    });
    return { ...target, values: new Map([...inherited, ...target.values]) };
  };
  return targets.map((target) => whole(target, 0));
}

function fromJson(path: string, text: string): BakeTarget[] {
  return parseYaml(text).flatMap((document) =>
    document.at("target").entries.map(({ key, line, value }) => ({
      path,
      name: key,
      line,
      values: new Map(
        value.entries.map((entry) => [
          entry.key,
          {
            texts:
              entry.value.entries.length > 0
                ? entry.value.entries.map((inner) => `${inner.key}=${inner.value.text ?? ""}`)
                : entry.value.list.flatMap((item) => item.text ?? []),
            line: entry.line,
          },
        ]),
      ),
    })),
  );
}

const TOKEN = /\s+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\])*"|[\w.-]+|[{}[\]=,:()]|./gy;

interface Token {
  readonly text: string;
  readonly line: number;
}

/** Parses HCL as bake files use it: blocks with `key = value`. Keeps the words of an expression. */
function fromHcl(path: string, text: string): BakeTarget[] {
  const tokens: Token[] = [];
  let line = 1;
  for (const [token] of text.matchAll(TOKEN)) {
    if (!/^(\s|#|\/\/|\/\*)/.test(token)) tokens.push({ text: token, line });
    line += token.split("\n").length - 1;
  }
  const targets: BakeTarget[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const [keyword, name, open] = [tokens[at], tokens[at + 1], tokens[at + 2]];
    if (keyword?.text !== "target" || name === undefined || open?.text !== "{") continue;
    const end = closerOf(tokens, at + 2);
    targets.push({
      path,
      name: bare(name.text),
      line: keyword.line,
      values: valuesIn(tokens.slice(at + 3, end)),
    });
    at = end;
  }
  return targets;
}

function valuesIn(tokens: readonly Token[]): BakeTarget["values"] {
  const values = new Map<string, { texts: string[]; line: number }>();
  for (let at = 0; at < tokens.length; at++) {
    const [key, sign, start] = [tokens[at], tokens[at + 1], tokens[at + 2]];
    if (key === undefined || sign?.text !== "=") continue;
    if (!start) break;
    const isGroup = start.text === "[" || start.text === "{";
    const end = isGroup ? closerOf(tokens, at + 2) : at + 2;
    const inside = isGroup ? tokens.slice(at + 3, end) : [start];
    values.set(bare(key.text), {
      texts: start.text === "{" ? pairs(inside) : texts(inside),
      line: key.line,
    });
    at = end;
  }
  return values;
}

function texts(tokens: readonly Token[]): string[] {
  return tokens.filter(({ text }) => /^["\w]/.test(text)).map(({ text }) => bare(text));
}

function pairs(tokens: readonly Token[]): string[] {
  return tokens.flatMap(({ text }, at) => {
    if (text !== "=" && text !== ":") return [];
    return [`${bare(tokens[at - 1]?.text ?? "")}=${bare(tokens[at + 1]?.text ?? "")}`];
  });
}

function closerOf(tokens: readonly Token[], open: number): number {
  let depth = 0;
  let at = open;
  for (let token = tokens[at]; token; token = tokens[++at]) {
    if (/^[[{]$/.test(token.text)) depth++;
    if (/^[\]}]$/.test(token.text) && --depth === 0) return at;
  }
  return tokens.length;
}

function bare(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}
