/**
 * The longest time in seconds for which a page may be shown without revalidation. The deploy's own proof does not wait
 * longer.
 */
const LONGEST = 60;

/** Whether a Cache-Control lets a browser or a proxy show a page for too long. */
export function isLong(control: string): boolean {
  const value = control.toLowerCase();
  if (/no-store|no-cache/.test(value)) return false;
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?(\d+)/.exec(value)?.[1];
  const shared = /s-maxage\s*=\s*"?(\d+)/.exec(value)?.[1];
  const isImmutable = /\bimmutable\b/.test(value) && maxAge === undefined;
  return isImmutable || isTooLong(Number(maxAge ?? 0)) || isTooLong(Number(shared ?? 0));
}

/** Converts nginx's `1d`, `1h 30m` or `max` to seconds; undefined for a variable or off. */
export function nginxSeconds(words: readonly string[]): number | undefined {
  const text = words
    .filter((word) => word !== "modified")
    .join("")
    .replace(/^\+/, "");
  if (text === "max") return Number.POSITIVE_INFINITY;
  // Milliseconds count as none.
  const units: Record<string, number> = {
    ms: 0,
    s: 1,
    m: 60,
    h: 3600,
    d: 86_400,
    w: 604_800,
    M: 2_592_000,
    y: 31_536_000,
  };
  if (!/^(\d+(ms|[smhdwMy])?)+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)(ms|[smhdwMy])?/g)].reduce(
    (sum, [, amount, unit = "s"]) => sum + Number(amount) * (units[unit] ?? 0),
    0,
  );
}

/** Whether it exceeds the time for which a page may be kept. */
export function isTooLong(seconds: number | undefined): boolean {
  return seconds !== undefined && seconds > LONGEST;
}
