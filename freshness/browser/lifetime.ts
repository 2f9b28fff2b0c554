/** Response headers, by lower-case name. */
export type Headers = Readonly<Record<string, string>>;

/** How long a browser shows a page without revalidating it. */
export interface Lifetime {
  readonly seconds: number;
  /** What determines the lifetime. */
  readonly by: string;
  /** Set if no header sets a lifetime. Browsers then guess it from the page's age, so it grows over time. */
  readonly guessed?: true;
}

/**
 * How long a private cache may still treat a response as fresh, as browsers calculate it (RFC 9111, section 4.2).
 * `s-maxage` and `Vary` do not affect it. `immutable` does not extend it; it only stops a plain reload from
 * revalidating.
 * @param received when the response arrived; replaces a missing `Date`
 */
export function privateLifetime(headers: Headers, received: Date): Lifetime {
  const control = directives(headers["cache-control"] ?? "");
  for (const name of ["no-store", "no-cache"])
    if (control.has(name)) return { seconds: 0, by: `Cache-Control: ${name}` };
  if (!headers["cache-control"] && directives(headers.pragma ?? "").has("no-cache"))
    return { seconds: 0, by: "Pragma: no-cache" };

  const age = seconds(headers.age) ?? 0;
  const left = (lifetime: number) => Math.max(0, Math.floor(lifetime - age));
  const maxAge = control.get("max-age");
  if (maxAge !== undefined)
    return {
      seconds: left(seconds(maxAge) ?? 0),
      by: `Cache-Control: max-age=${maxAge}${control.has("immutable") ? ", immutable" : ""}`,
    };

  const date = time(headers.date) ?? received.getTime();
  if (headers.expires !== undefined) {
    // An invalid date, such as 0 or -1, is in the past.
    const expires = time(headers.expires) ?? 0;
    return { seconds: left((expires - date) / 1000), by: `Expires: ${headers.expires}` };
  }
  const modified = time(headers["last-modified"]);
  if (modified === undefined) return { seconds: 0, by: "no lifetime" };
  return {
    seconds: left((date - modified) / 10_000),
    by: `no lifetime but Last-Modified: ${headers["last-modified"]}, and browsers use 10 % of its age`,
    guessed: true,
  };
}

/** Parses `public, max-age="60"` to public: "", max-age: "60". The first of two directives with the same name counts. */
function directives(header: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, text, quoted, plain] of header.matchAll(
    /([^\s,=;"]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/g,
  )) {
    const name = text?.toLowerCase();
    if (name !== undefined && !found.has(name)) found.set(name, quoted ?? plain ?? "");
  }
  return found;
}

function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function time(text: string | undefined): number | undefined {
  // Date.parse accepts numbers as years. HTTP does not.
  const parsed = text && /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}
