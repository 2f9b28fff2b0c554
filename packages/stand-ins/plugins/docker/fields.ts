/** Compares the state and the inputs of a bridged resource (all but Image), field by field. */

import { asReplacements, type Changes, collect } from "../diff";
import type { CheckReply, DiffReply } from "../serve";
import { equal, hasUnknown, isObject, type Props, tidy, type Value } from "../values";

interface Field {
  /** A change requires a new resource. */
  force?: boolean;
  /** The engine sets a value if the program does not. A missing input is then no change. */
  computed?: boolean;
  /** A list whose order does not matter. */
  set?: boolean;
  /** The engine's value if none was requested. */
  blank?: string;
  /** The keys of its objects that the stand-in supports. */
  keys?: readonly string[];
}

export type Fields = { [key: string]: Field };

/** Failures for unsupported inputs: it is better to fail than to create a container without a setting. */
export function unsupported(plugin: string, fields: Fields, news: Props): CheckReply["failures"] {
  const reason = `the stand-in for the plugin ${plugin} does not support this input`;
  const failures: { property: string; reason: string }[] = [];
  for (const [key, value] of Object.entries(tidy(news) as Props)) {
    const field = fields[key];
    if (field === undefined) failures.push({ property: key, reason });
    const inner = Array.isArray(value) ? value.filter(isObject) : isObject(value) ? [value] : [];
    for (const part of new Set(inner.flatMap((object) => Object.keys(object)))) {
      if (field?.keys !== undefined && !field.keys.includes(part)) {
        failures.push({ property: `${key}.${part}`, reason });
      }
    }
  }
  return failures;
}

export function diffFields(fields: Fields, olds: Props, news: Props): DiffReply {
  const changes: Changes = {};
  for (const [key, field] of Object.entries(fields)) {
    const found = changesOfField(key, field, olds[key] ?? null, news[key] ?? null);
    Object.assign(changes, field.force ? asReplacements(found) : found);
  }
  return reply(changes);
}

/**
 * Converts changes to a Diff response. A replacement deletes first, as the official plugin always requests, whatever
 * the name.
 */
export function reply(changes: Changes): DiffReply {
  const replaces = Object.keys(changes).filter((path) => changes[path]?.endsWith("_REPLACE"));
  return {
    changes,
    replaces: [...new Set(replaces.map((path) => path.split(/[.[]/, 1)[0] ?? path))].sort(),
    deleteBeforeReplace: replaces.length > 0,
    detailed: true,
  };
}

function changesOfField(key: string, field: Field, old: Value, now: Value): Changes {
  const before = comparable(old === field.blank ? null : old);
  const after = comparable(now === field.blank ? null : now);
  if (now === null) return before === null || field.computed ? {} : { [key]: "DELETE" };
  if (equal(before, after)) return {};
  // Nothing can be compared with an unknown value, and a set cannot be compared by element while one element is
  // unknown.
  if (hasUnknown(after)) return { [key]: before === null ? "ADD" : "UPDATE" };
  // `false` after `true` is a change of value. A missing value would be a removal.
  if (typeof now !== "object") return { [key]: old === null ? "ADD" : "UPDATE" };
  if (field.set && Array.isArray(before) && Array.isArray(after) && sameElements(before, after)) return {};
  const changes: Changes = {};
  collect(key, before, after, changes);
  return changes;
}

function sameElements(before: Value[], after: Value[]): boolean {
  const rest = [...before];
  for (const element of after) {
    const index = rest.findIndex((candidate) => equal(candidate, element));
    if (index < 0) return false;
    rest.splice(index, 1);
  }
  return rest.length === 0;
}

/** The value without parts that are equivalent to nothing: null, false, 0, "", empty lists and objects. */
export function comparable(value: Value | undefined): Value {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return null;
  if (Array.isArray(value))
    return value.length === 0 ? null : value.map((item) => (isObject(item) ? inside(item) : item));
  return isObject(value) ? (Object.keys(inside(value)).length === 0 ? null : inside(value)) : value;
}

function inside(object: Props): Props {
  const kept: Props = {};
  for (const [key, value] of Object.entries(object)) {
    // An empty string in a map (the options of a tmpfs) is a value. Only the key shows that.
    const found = key === "__defaults" ? null : value === "" && key.startsWith("/") ? "" : comparable(value);
    if (found !== null) kept[key] = found;
  }
  return kept;
}
