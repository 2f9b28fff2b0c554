/** The changes between two property maps, in the form that the engine expects. */

import { equal, isObject, isSecret, type Props, reveal, type Value } from "./values";

type Change = "ADD" | "DELETE" | "UPDATE" | "ADD_REPLACE" | "DELETE_REPLACE" | "UPDATE_REPLACE";
/** Property path → its change. */
export type Changes = { [path: string]: Change };

/** The changes of an object by key, with paths such as `triggers[0]` and `environment.NAME`. */
export function changesOf(olds: Props, news: Props): Changes {
  const changes: Changes = {};
  for (const key of new Set([...Object.keys(olds), ...Object.keys(news)])) {
    collect(key, olds[key], news[key], changes);
  }
  return changes;
}

/**
 * Adds the differences between two values at a path. Compares a secret as a whole, so that no path reveals its parts.
 */
export function collect(
  path: string,
  before: Value | undefined,
  after: Value | undefined,
  into: Changes,
): void {
  if (before === undefined || before === null) {
    if (after !== undefined && after !== null) into[path] = "ADD";
  } else if (after === undefined || after === null) {
    into[path] = "DELETE";
  } else if (isSecret(before) || isSecret(after)) {
    if (!equal(reveal(before), reveal(after))) into[path] = "UPDATE";
  } else if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      collect(`${path}[${index}]`, before[index], after[index], into);
    }
  } else if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      collect(`${path}${step(key)}`, before[key], after[key], into);
    }
  } else if (!equal(before, after)) {
    into[path] = "UPDATE";
  }
}

/** The top-level property of a path. */
export function topLevel(path: string): string {
  return path.split(/[.[]/, 1)[0] ?? path;
}

/** The same changes as replacements. */
export function asReplacements(changes: Changes): Changes {
  return Object.fromEntries(
    Object.entries(changes).map(([path, kind]) => [path, `${kind}_REPLACE` as Change]),
  );
}

function step(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `["${key.replaceAll('"', '\\"')}"]`;
}
