/** A capability as the engine reports it. Without `CAP_`, each refresh would show a difference. */
export function capabilityName(capability: string): string {
  return capability === "ALL" || capability.startsWith("CAP_") ? capability : `CAP_${capability}`;
}
