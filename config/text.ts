import { parse as parseJson } from "lossless-json";
import { isAlias, isMap, isScalar, isSeq, parseDocument, Scalar, type YAMLError } from "yaml";

/**
 * Values as written: text must reach a container unchanged, but the Pulumi CLI turns unquoted values into numbers,
 * booleans and dates.
 */

/** An unquoted scalar that the Pulumi CLI changes. */
export interface Changed {
  /** Its path of keys; the first has its namespace. */
  readonly path: readonly string[];
  readonly written: string;
  /** The CLI's value. */
  readonly read: string;
}

/** A stack's file. */
export interface StackText {
  /** Key, with its namespace → value; numbers and booleans as written. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly changed: readonly Changed[];
}

/**
 * Parses a `Pulumi.STACK.yaml`.
 *
 * @throws YAMLError if it is not YAML
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
 * The text that the Pulumi CLI passes on for an unquoted scalar. It uses Go's yaml.v3, which accepts more numbers than
 * YAML 1.2.
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
  // A number that no float can hold stays as written.
  if (FLOAT.test(digits) && Number.isFinite(Number(digits))) return String(Number(digits));
  return written;
}

/** A signed 64-bit integer; a leading zero makes it octal. The CLI writes a larger one into the file as a float. */
function integerOf(digits: string): bigint | undefined {
  const [, sign, rest = ""] = /^([-+]?)(.*)$/.exec(digits) ?? [];
  const size = BigInt(/^0[0-7]+$/.test(rest) ? `0o${rest.slice(1)}` : rest.toLowerCase());
  const value = sign === "-" ? -size : size;
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : undefined;
}

/** Keys whose values an error must not show. */
export const SECRET =
  /(^|[.:])(serverKey|registryPassword|secretEnv|buildSecrets|basicAuth|freshnessKey|notify)(\.|$)/;

/** Parses JSON with numbers as written, because floats are inexact beyond 2^53. */
export function parseJsonText(text: string): unknown {
  return parseJson(text, undefined, (number) => number);
}

/**
 * Returns the problems of scalars that the CLI changes.
 *
 * @param given the CLI's configuration, if known: values from other files are not judged
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
      // A time ends with its zone.
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
