/** A capability as the engine writes it back: without `CAP_` it would be a difference after each refresh. */
export function capabilityName(capability: string): string {
  return capability === "ALL" || capability.startsWith("CAP_") ? capability : `CAP_${capability}`;
}
