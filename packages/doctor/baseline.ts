import { createHash } from "node:crypto";
import type { Diagnosis } from "./finding";

/** Identifies a finding independently of its line. */
export function fingerprint({ code, path, found }: Diagnosis): string {
  return createHash("sha256")
    .update([code, path, found.replace(/\s+/g, " ")].join("\0"))
    .digest("hex")
    .slice(0, 32);
}

/** Known findings, as stored in a file. */
export interface Baseline {
  readonly version: 1;
  readonly findings: readonly {
    readonly fingerprint: string;
    readonly code: string;
    readonly path: string;
  }[];
}

export function baselineOf(findings: readonly Diagnosis[]): Baseline {
  return {
    version: 1,
    findings: findings.map((one) => ({ fingerprint: fingerprint(one), code: one.code, path: one.path })),
  };
}

/** Parses a baseline; undefined if the text is not a baseline. */
export function parseBaseline(text: string): Baseline | undefined {
  try {
    const value = JSON.parse(text) as Partial<Baseline>;
    const isList =
      Array.isArray(value.findings) && value.findings.every((one) => typeof one?.fingerprint === "string");
    return value.version === 1 && isList ? (value as Baseline) : undefined;
  } catch {
    return undefined;
  }
}

/** The findings that are not in a baseline, including further occurrences. */
export function beyond(findings: readonly Diagnosis[], baseline: Baseline): Diagnosis[] {
  const known = new Map<string, number>();
  for (const { fingerprint: one } of baseline.findings) known.set(one, (known.get(one) ?? 0) + 1);
  return findings.filter((finding) => {
    const one = fingerprint(finding);
    const left = known.get(one) ?? 0;
    known.set(one, left - 1);
    return left <= 0;
  });
}
