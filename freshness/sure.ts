/**
 * A value that exists for a reason that the types do not show.
 *
 * @param what names the value, for the error that follows a mistake in this program
 */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`there is no ${what}`);
  return value;
}

/** Pairs the elements of two lists of the same length, by position. */
export function zip<A, B>(left: readonly A[], right: readonly B[]): [A, B][] {
  if (left.length !== right.length)
    throw new Error(`lists of ${left.length} and ${right.length} elements do not pair`);
  return left.map((each, at) => [each, right[at] as B]);
}

/** The text before the first mark; all of it without one. */
export function textBefore(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at < 0 ? text : text.slice(0, at);
}
