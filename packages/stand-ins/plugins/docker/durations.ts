/** Durations of a service, as the official plugin writes them to the state. */

import { isObject, type Props, type Value } from "../values";
import { nanoseconds } from "./container-request";

const KEYS = ["delay", "interval", "monitor", "startPeriod", "stopGracePeriod", "timeout", "window"];

/**
 * Returns the value with its durations in the notation of the plugin's state: without trailing zeros, `1m` for `1m0s`.
 */
export function shortDurations<T extends Value>(value: T): T {
  if (Array.isArray(value)) return value.map(shortDurations) as T;
  if (!isObject(value)) return value;
  const entries = Object.entries(value as Props).map(([key, inner]): [string, Value] =>
    KEYS.includes(key) && typeof inner === "string"
      ? [key, shortDuration(inner)]
      : [key, shortDurations(inner)],
  );
  return Object.fromEntries(entries) as T;
}

/** In the notation of Go's `time.Duration`, without trailing zero parts. */
function shortDuration(duration: string): string {
  const total = nanoseconds(duration);
  if (total === 0) return "0s";
  if (total < 1e3) return `${total}ns`;
  if (total < 1e6) return `${total / 1e3}µs`;
  if (total < 1e9) return `${total / 1e6}ms`;
  const [hours, minutes] = [Math.floor(total / 3600e9), Math.floor((total % 3600e9) / 60e9)];
  const seconds = (total % 60e9) / 1e9;
  const written = [
    hours > 0 ? `${hours}h` : "",
    hours > 0 || minutes > 0 ? `${minutes}m` : "",
    `${seconds}s`,
  ].join("");
  return written.replace(/m0s$/, "m").replace(/h0m$/, "h");
}
