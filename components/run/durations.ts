/** A duration as the state has it for a container. Another notation would show as a difference at every `up`. */
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

/** A duration as the state has it for a Swarm service: without zero parts at the end. */
export function swarmSeconds(total: number): string {
  return seconds(total).replace(/m0s$/, "m").replace(/h0m$/, "h");
}
