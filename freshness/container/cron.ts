/** The five fields of a schedule: what each allows, and its names. */
const FIELDS = [
  { field: "minute", least: 0, most: 59, names: "" },
  { field: "hour", least: 0, most: 23, names: "" },
  { field: "day of the month", least: 1, most: 31, names: "" },
  { field: "month", least: 1, most: 12, names: "jan feb mar apr may jun jul aug sep oct nov dec" },
  // Both 0 and 7 are Sunday.
  { field: "day of the week", least: 0, most: 7, names: "sun mon tue wed thu fri sat" },
] as const;

/** Names for common schedules, as in crontab(5). */
const NAMED: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** The minutes at which a schedule runs. */
export interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  /** From 0, Sunday. */
  readonly weekdays: readonly number[];
  /** As in crontab(5): with both days restricted, one of them is enough. */
  readonly eitherDay: boolean;
}

/**
 * Reads a schedule of five fields as crontab(5) does: numbers, names of months and weekdays, `*`, lists, ranges, steps.
 * @throws Error that names the wrong field
 */
export function parseCron(text: string): Cron {
  const fields = (NAMED[text.trim().toLowerCase()] ?? text).trim().toLowerCase().split(/\s+/);
  if (fields.length !== FIELDS.length)
    throw new Error("five fields: minute, hour, day of the month, month, day of the week");
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = FIELDS.map((of, at) =>
    valuesOf(fields[at] ?? "", of),
  );
  const isRestricted = (at: number) => fields[at]?.startsWith("*") === false;
  return {
    minutes,
    hours,
    days,
    months,
    weekdays: [...new Set(weekdays.map((day) => day % 7))].sort((a, b) => a - b),
    eitherDay: isRestricted(2) && isRestricted(4),
  };
}

function valuesOf(text: string, { field, least, most, names }: (typeof FIELDS)[number]): number[] {
  const known = names === "" ? [] : names.split(" ");
  const wrong = () => new Error(`a ${field} from ${least} to ${most}, not "${text}"`);
  const numberOf = (word: string) => {
    const named = known.indexOf(word);
    const value = named >= 0 ? named + least : /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
    if (!(value >= least && value <= most)) throw wrong();
    return value;
  };
  const values = text.split(",").flatMap((part) => {
    const [range = "", by, ...more] = part.split("/");
    const [first = "", last, ...others] = range.split("-");
    if (more.length + others.length > 0) throw wrong();
    const step = by === undefined ? 1 : /^\d{1,2}$/.test(by) ? Number(by) : 0;
    // A longer step than the field, such as each 90 minutes, would silently be each hour.
    if (step === 0 || step > most - least + 1 || (range === "*" && last !== undefined)) throw wrong();
    const from = range === "*" ? least : numberOf(first);
    // `5/10` is 5, 15, …, as most programs read it.
    const alone = by === undefined ? from : most;
    const to = range === "*" ? most : last === undefined ? alone : numberOf(last);
    if (to < from) throw wrong();
    return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);
  });
  return [...new Set(values)].sort((a, b) => a - b);
}

/** A change of a time zone's offset from UTC, in seconds since 1970, and the new offset in seconds. */
export type Offset = readonly [since: number, seconds: number];

/** Whether this machine knows a time zone of that name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** No zone changes its offset twice within so many seconds. */
const STEP = 7 * 24 * 60 * 60;
/** The years whose changes a container knows. A release that runs longer keeps the last offset. */
const YEARS = [2025, 2045] as const;

/**
 * The offsets of a time zone, so that an image needs no time zone files.
 * @throws RangeError if the zone is unknown
 */
export function offsetsOf(timeZone: string): Offset[] {
  if (timeZone === "UTC") return [];
  const formatter = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const at = (seconds: number): number => {
    const parts = formatter.formatToParts(seconds * 1000);
    const text = parts.find(({ type }) => type === "timeZoneName")?.value ?? "GMT";
    const [, sign = "+", hours = "0", minutes = "0"] = /^GMT([+-])(\d+):?(\d+)?/.exec(text) ?? [];
    return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  };
  const [begin, end] = YEARS.map((year) => Date.UTC(year, 0) / 1000) as [number, number];
  const offsets: Offset[] = [[0, at(begin)]];
  for (let since = begin; since < end; since += STEP) {
    const next = at(since + STEP);
    if (next === offsets.at(-1)?.[1]) continue;
    let [before, after] = [since, since + STEP];
    while (after - before > 60) {
      const middle = Math.floor((before + after) / 120) * 60;
      if (at(middle) === next) after = middle;
      else before = middle;
    }
    offsets.push([after, next]);
  }
  return offsets;
}
