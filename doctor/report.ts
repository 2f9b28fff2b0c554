import type { Diagnosis } from "./finding";

/** How many of each severity there are. */
export function counted(findings: readonly Diagnosis[]): { errors: number; warnings: number } {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return { errors, warnings: findings.length - errors };
}

/** The findings as a reader wants them: the place first, as an editor understands it. */
export function described(findings: readonly Diagnosis[]): string {
  return findings
    .map(
      ({ path, line, severity, rule, why, found, fix }) =>
        `${path}:${line}: ${severity}: ${why} [${rule}]\n  found: ${found}\n  fix:   ${fix.replaceAll("\n", "\n         ")}\n`,
    )
    .join("");
}

/** `2 errors, 1 warning`. */
export function summed(findings: readonly Diagnosis[]): string {
  const { errors, warnings } = counted(findings);
  const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
  return `${plural(errors, "error")}, ${plural(warnings, "warning")}`;
}
