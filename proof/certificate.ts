import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { workFolder } from "../engine/workFolder";
import type { Certificate } from "../freshness/chain";

/** Path of a stack's last certificate, relative to the project. */
export function certificatePath(stack: string): string {
  return join(workFolder(stack), "certificate.json");
}

/** What a deploy leaves for the terminal. */
export interface Report {
  readonly certificate: Certificate;
  /** The seconds of each step. */
  readonly seconds: Readonly<Record<string, number>>;
  /** When the public address was proven to serve the commit, ISO 8601: visitors wait until then. Earlier reports have none. */
  readonly served?: string;
}

/** What the commands print of a report. */
const REPORT = z.object({
  certificate: z.object({
    stack: z.string(),
    commit: z.string(),
    url: z.string(),
    links: z.array(
      z.object({
        link: z.string(),
        service: z.string(),
        status: z.enum(["proven", "broken", "not checked"]),
        expected: z.string(),
        found: z.string(),
        evidence: z.string(),
        warning: z.string().optional(),
      }),
    ),
  }),
  seconds: z.record(z.string(), z.number()),
});

/** Parses a report; undefined for any other text, such as a file that somebody has edited. */
export function parseReport(text: string): Report | undefined {
  try {
    const report: unknown = JSON.parse(text);
    return REPORT.safeParse(report).success ? (report as Report) : undefined;
  } catch {
    return undefined;
  }
}

export async function writeReport(stack: string, report: Report): Promise<void> {
  const path = certificatePath(stack);
  await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
}
