import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  Scalar,
} from "yaml";

/** A node of a YAML file as plain values with their lines. Aliases and `<<` are resolved. */
export class Yaml {
  constructor(
    readonly line: number,
    /** The text of a scalar; `undefined` if the node is not a scalar, or is empty. */
    readonly text: string | undefined,
    /** The line where the text starts: for a block, the line after its `|`. */
    readonly textLine: number,
    readonly entries: readonly { readonly key: string; readonly line: number; readonly value: Yaml }[],
    readonly items: readonly Yaml[],
  ) {}

  /** The node below nested keys; an empty node if it does not exist. */
  at(...keys: readonly string[]): Yaml {
    const [first, ...rest] = keys;
    if (first === undefined) return this;
    const found = this.entries.findLast(({ key }) => key === first);
    return found ? found.value.at(...rest) : EMPTY;
  }

  /** The line of a key; 0 if it does not exist. */
  lineOf(key: string): number {
    return this.entries.findLast((entry) => entry.key === key)?.line ?? 0;
  }

  /** This mapping, with the keys of the other one that it lacks. */
  over(base: Yaml): Yaml {
    const missing = base.entries.filter(({ key }) => !this.entries.some((entry) => entry.key === key));
    return new Yaml(this.line, this.text, this.textLine, [...missing, ...this.entries], this.items);
  }

  /** Merges this node over another one as compose does: mappings by key, lists by concatenation. */
  mergedOver(base: Yaml): Yaml {
    if (this.text !== undefined || this.isEmpty) return this.isEmpty ? base : this;
    const entries = new Map(base.entries.map((entry) => [entry.key, entry]));
    for (const entry of this.entries) {
      const before = entries.get(entry.key);
      const value = before && !REPLACED.has(entry.key) ? entry.value.mergedOver(before.value) : entry.value;
      entries.set(entry.key, { ...entry, value });
    }
    return new Yaml(
      this.line,
      undefined,
      this.textLine,
      [...entries.values()],
      [...base.items, ...this.items],
    );
  }

  get isEmpty(): boolean {
    return this.text === undefined && this.entries.length === 0 && this.items.length === 0;
  }

  /** A list, or a single scalar as a list. */
  get list(): readonly Yaml[] {
    return this.text === undefined ? this.items : [this];
  }

  /** A mapping, or a list of `NAME=value`. A missing value is `undefined`. */
  get variables(): { name: string; value: string | undefined; line: number }[] {
    const listed = this.items.map(({ text = "", line }) => {
      const at = text.indexOf("=");
      return {
        name: at < 0 ? text : text.slice(0, at),
        value: at < 0 ? undefined : text.slice(at + 1),
        line,
      };
    });
    const mapped = this.entries.map(({ key, line, value }) => ({ name: key, value: value.text, line }));
    return [...mapped, ...listed].filter(({ name }) => name !== "");
  }
}

/** Lists that a later file replaces. */
const REPLACED = new Set(["command", "entrypoint", "test", "extends"]);

export const EMPTY = new Yaml(0, undefined, 0, [], []);

/** Several rules parse the same few files. */
const parsed = new Map<string, readonly Yaml[]>();
const KEPT = 200;

/** The documents of a file that a program reads directly, not a template. Throws the first syntax error. */
export function parseWhole(text: string): readonly Yaml[] {
  const documents = parseYaml(text);
  if (documents.length > 0 || text.trim() === "") return documents;
  const [error] = parseAllDocuments(text, { logLevel: "silent" }).flatMap(({ errors }) => errors);
  throw new Error(error?.message.split("\n")[0] ?? "it is no YAML");
}

/** The documents of a file; empty if it is not YAML. */
export function parseYaml(text: string): readonly Yaml[] {
  const known = parsed.get(text);
  if (known) return known;
  const read = readYaml(text);
  if (parsed.size >= KEPT) parsed.clear();
  parsed.set(text, read);
  return read;
}

function readYaml(text: string): Yaml[] {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter, logLevel: "silent" });
  if (!Array.isArray(documents)) return [];
  return documents
    .filter(({ errors }) => errors.every(({ code }) => code === "DUPLICATE_KEY"))
    .map((document) => new Reader(document, counter).read(document.contents as Node | null));
}

class Reader {
  /** Each alias is resolved once, however often it is used, and a circular alias ends. */
  private readonly known = new Map<Node, Yaml>();

  constructor(
    private readonly document: Document,
    private readonly counter: LineCounter,
  ) {}

  read(given: Node | null): Yaml {
    const node = isAlias(given) ? (given.resolve(this.document) ?? null) : given;
    if (!node) return EMPTY;
    const before = this.known.get(node);
    if (before) return before;
    this.known.set(node, EMPTY);
    const read = this.convert(node);
    this.known.set(node, read);
    return read;
  }

  private convert(node: Node): Yaml {
    const line = this.lineOf(node);
    if (isScalar(node)) {
      const isBlock = node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED;
      const text = node.value === null ? undefined : String(node.value);
      return new Yaml(line, text, isBlock ? line + 1 : line, [], []);
    }
    if (isSeq(node))
      return new Yaml(
        line,
        undefined,
        line,
        [],
        node.items.map((item) => this.read(item as Node)),
      );
    if (!isMap(node)) return EMPTY;
    const own = new Map<string, Yaml["entries"][number]>();
    const merged = new Map<string, Yaml["entries"][number]>();
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const read = this.read(value as Node | null);
      const name = String(key.value);
      if (name !== "<<") own.set(name, { key: name, line: this.lineOf(key), value: read });
      // The mapping's own keys take precedence, then the first merge.
      else
        for (const entry of [read, ...read.items].flatMap(({ entries }) => entries))
          if (!merged.has(entry.key)) merged.set(entry.key, entry);
    }
    const inherited = [...merged.values()].filter(({ key }) => !own.has(key));
    return new Yaml(line, undefined, line, [...inherited, ...own.values()], []);
  }

  private lineOf(node: { range?: readonly number[] | null | undefined }): number {
    const [start] = node.range ?? [];
    return start === undefined ? 0 : this.counter.linePos(start).line;
  }
}
