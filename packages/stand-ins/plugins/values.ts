/**
 * Property values in the protocol between the engine and a plugin: JSON with sentinels for unknowns, secrets and
 * outputs. All functions are pure.
 */

export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Props = { [key: string]: Value };

/** A value that is not known yet, in previews. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** One sentinel for each type. The string sentinel is by far the most common. */
const unknowns = new Set([
  UNKNOWN,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** Whether a value is an object, but not an array or null. */
export function isObject(value: Value | undefined): value is Props {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A marked value, with the value itself inside. */
type Secret = Props & { value: Value };

/** Whether a value is marked as a secret. */
export function isSecret(value: Value | undefined): value is Secret {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

/** Marks a value as a secret, once. */
export function secret(value: Value): Value {
  return isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

/**
 * Converts output values (which combine dependencies, secretness and knownness) to plain values, secrets and unknowns.
 */
export function normalise(value: Value): Value {
  if (Array.isArray(value)) return value.map(normalise);
  if (!isObject(value)) return value;
  if (value[SIGNATURE] === OUTPUT) {
    const inner = value.value === undefined ? UNKNOWN : normalise(value.value);
    return value.secret === true ? secret(inner) : inner;
  }
  return mapValues(value, normalise);
}

/** The value without secret marks. */
export function reveal(value: Value): Value {
  if (Array.isArray(value)) return value.map(reveal);
  if (!isObject(value)) return value;
  if (isSecret(value)) return reveal(value.value);
  return mapValues(value, reveal);
}

/** `reveal` for a property map. */
export function revealProps(props: Props): Props {
  return reveal(props) as Props;
}

/** Whether a value contains an unknown at any depth. */
export function hasUnknown(value: Value | undefined): boolean {
  if (typeof value === "string") return unknowns.has(value);
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isObject(value) && Object.values(value).some(hasUnknown);
}

/** The value without nulls and without the `__defaults` entries, at any depth. */
export function tidy(value: Value): Value {
  if (Array.isArray(value)) return value.map(tidy);
  if (!isObject(value)) return value;
  const kept: Props = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key !== "__defaults" && inner !== null && inner !== undefined) kept[key] = tidy(inner);
  }
  return kept;
}

/** `tidy` for a property map. */
export function tidyProps(props: Props): Props {
  return tidy(props) as Props;
}

/** Structural equality. The order of keys does not matter; the order of elements does. */
export function equal(left: Value | undefined, right: Value | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => equal(value, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => equal(left[key], right[key]));
}

/** A value's string, or undefined if it is absent or not a string. */
export function text(value: Value | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** A value's number, or undefined if it is absent or not a number. */
export function number(value: Value | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** The strings of a list. Other elements are omitted. */
export function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

/** The objects of a list. Other elements are omitted. */
export function objects(value: Value | undefined): Props[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The entries of an object whose values are strings. */
export function textMap(value: Value | undefined): Record<string, string> {
  const map: Record<string, string> = {};
  for (const [key, inner] of Object.entries(isObject(value) ? value : {})) {
    if (typeof inner === "string") map[key] = inner;
  }
  return map;
}

function mapValues(object: Props, fn: (value: Value) => Value): Props {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, fn(value)]));
}
