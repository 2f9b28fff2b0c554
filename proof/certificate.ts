import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
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

export async function writeReport(stack: string, report: Report): Promise<void> {
  const path = certificatePath(stack);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
}
