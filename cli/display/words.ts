import { shortIdentity } from "../../source/checkout";
import type { Steps } from "./steps";
import type { Deployed } from "./types";

/** Seconds as text. */
export function secondsOf(seconds: number): string {
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** What a deploy changed. */
export function changes({ resources, commitChange }: Steps): string {
  const commit =
    commitChange &&
    `Commit: ${shortIdentity(commitChange.after)} replaces ${shortIdentity(commitChange.before)}`;
  return [commit, `Resources: ${resources}`].filter((line) => line !== undefined).join("\n");
}

/** The seconds of each step, until the release served, and in all. */
function timesOf(deployed: Deployed): string {
  const steps = Object.entries(deployed.seconds)
    .filter(([step]) => step !== "total")
    .map(([step, taken]) => `${step} ${taken.toFixed(1)} s`);
  return `${steps.join(", ")}; ${totalOf(deployed)}`;
}

/** Visitors wait for the first time, CI for the second. */
export function totalOf({ served, total }: Deployed): string {
  const visible = served === undefined ? "" : `served after ${served.toFixed(1)} s, `;
  return `${visible}in all ${total.toFixed(1)} s`;
}

/** The last lines of a deploy in a log: seconds and address. */
export function closing(deployed: Deployed): string {
  return `${timesOf(deployed)}\n\n${deployed.url} serves ${deployed.commit}\n`;
}
