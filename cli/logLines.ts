/** A line that a container printed. */
export interface LogLine {
  /** RFC 3339 with nanoseconds, of fixed width: lines sort by it. */
  readonly time: string;
  /** Whose it is. */
  readonly source: string;
  readonly text: string;
}

/** Splits what `docker logs --timestamps` prints. */
export function readLine(source: string, line: string): LogLine {
  const [, time, text] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(line) ?? [];
  return time === undefined ? { time: "", source, text: line } : { time, source, text: text ?? "" };
}

/** Brings lines of several containers into the order of time; those of one stay in theirs. */
export function inOrder(lines: readonly LogLine[]): LogLine[] {
  return [...lines].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

/**
 * A point in time as docker takes it: `90s`, `15m`, `2h`, `3d` ago, or a date.
 *
 * @returns undefined for any other text
 */
export function sinceOf(text: string): string | undefined {
  const [, days] = /^(\d+)d$/.exec(text) ?? [];
  if (days !== undefined) return `${Number(days) * 24}h`;
  if (/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) && text !== "") return text;
  return /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text) &&
    !Number.isNaN(Date.parse(text))
    ? text
    : undefined;
}
