/** A duration as a container has it in the state: another notation would be a difference at every `up`. */
export function seconds(total: number): string {
  const parts = [
    [Math.floor(total / 3600), "h"],
    [Math.floor(total / 60) % 60, "m"],
    [total % 60, "s"],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join("");
}

/** A duration as a service of a Swarm has it in the state: without parts that are zero at its end. */
export function swarmSeconds(total: number): string {
  return seconds(total).replace(/m0s$/, "m").replace(/h0m$/, "h");
}
