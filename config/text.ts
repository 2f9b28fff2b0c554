import { parse as parseJson } from "lossless-json";
import { isAlias, isMap, isScalar, isSeq, parseDocument, Scalar, type YAMLError } from "yaml";

/**
 * Values as they are written: what is text to a container must reach it unchanged, and the Pulumi CLI makes numbers, booleans
 * and dates of what has no quotes.
 */

/** A scalar without quotes that the Pulumi CLI does not keep as it is written. */
export interface Changed {
  /** The keys that lead to it; the first has its namespace. */
  readonly path: readonly string[];
  readonly written: string;
  /** What the CLI makes of it. */
  readonly read: string;
}

/** A stack's file. */
export interface StackText {
  /** Key, with its namespace → value; numbers and booleans as the text that stands there. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly changed: readonly Changed[];
}

/**
 * Reads the text of a `Pulumi.STACK.yaml`.
 *
 * @throws YAMLError where it is not YAML
 */
export function parseStackText(text: string): StackText {
  const document = parseDocument(text);
  const [error] = document.errors as readonly YAMLError[];
  if (error) throw error;
  const config = document.get("config", true);
  const changed: Changed[] = [];
  const values = plain(config, [], changed);
  return {
    config: typeof values === "object" && values !== null ? (values as Record<string, unknown>) : {},
    changed,
  };

  function plain(node: unknown, path: readonly string[], changed: Changed[]): unknown {
    if (isMap(node))
      return Object.fromEntries(
        node.items.map(({ key, value }) => {
          const name = isScalar(key) ? (key.source ?? String(key.value)) : String(key);
          return [name, plain(value, [...path, name], changed)];
        }),
      );
    if (isSeq(node)) return node.items.map((item, at) => plain(item, [...path, String(at)], changed));
    if (isAlias(node)) return plain(node.resolve(document), path, changed);
    if (!isScalar(node)) return null;
    if (node.type !== Scalar.PLAIN || node.tag !== undefined || node.value === null) return node.value;
    const written = node.source ?? String(node.value);
    const read = asRead(written);
    if (read !== written) changed.push({ path, written, read });
    return written;
  }
}

const INTEGER = /^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$/;
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const DATE = /^\d{4}-\d{1,2}-\d{1,2}([Tt ]+\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)?.*)?$/;

/**
 * The text that the Pulumi CLI hands on of a scalar without quotes; it reads YAML with Go's yaml.v3, which takes more for
 * numbers than YAML 1.2 does.
 */
export function asRead(written: string): string {
  if (/^(true|True|TRUE)$/.test(written)) return "true";
  if (/^(false|False|FALSE)$/.test(written)) return "false";
  if (/^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$/.test(written)) return "a value that Pulumi cannot store";
  if (DATE.test(written)) return "a time";
  const digits = written.replaceAll("_", "");
  if (/^_|^[^0-9+.-]/.test(written)) return written;
  const integer = INTEGER.test(digits) ? integerOf(digits) : undefined;
  if (integer !== undefined) return integer.toString();
  // One that no float can hold is left as it stands.
  if (FLOAT.test(digits) && Number.isFinite(Number(digits))) return String(Number(digits));
  return written;
}

/** A whole number of 64 bits; a leading zero makes it octal. */
function integerOf(digits: string): bigint | undefined {
  const [, sign, rest = ""] = /^([-+]?)(.*)$/.exec(digits) ?? [];
  const size = BigInt(/^0[0-7]+$/.test(rest) ? `0o${rest.slice(1)}` : rest.toLowerCase());
  const value = sign === "-" ? -size : size;
  return value >= -(2n ** 63n) && value < 2n ** 64n ? value : undefined;
}

/** Keys whose values an error never repeats. */
export const SECRET = /(^|[.:])(serverKey|registryPassword|secretEnv|buildSecrets)(\.|$)/;

/** Parses JSON; each number comes as the text that stands there, for none is exact beyond 2^53. */
export function parseJsonText(text: string): unknown {
  return parseJson(text, undefined, (number) => number);
}

/**
 * What is to be said of scalars that do not stay as they are written.
 *
 * @param given the configuration that the CLI has handed on, where that is known: what was read from another file is not judged
 */
export function changedProblems(
  changed: readonly Changed[],
  namespace: string,
  given?: Readonly<Record<string, unknown>>,
): string[] {
  return changed
    .filter(({ path: [key = ""] }) => key.startsWith(`${namespace}:`))
    .filter(({ path, read }) => {
      if (given === undefined) return true;
      const value = valueAt(given, path);
      // A time has its zone behind it.
      return read === "a time" ? / UTC$|^\d{4}-/.test(String(value)) : String(value) === read;
    })
    .map(({ path, written, read }) => {
      const key = path.join(".");
      return SECRET.test(key)
        ? `${key} is an unquoted value that Pulumi changes; allowed: the same in quotes`
        : `${key} is ${written} without quotes, which Pulumi reads as ${read}; allowed: "${written}" in quotes`;
    });
}

function valueAt(given: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = given;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
