import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { workFolder } from "../engine/workFolder";
import type { Certificate } from "../freshness/chain";

/** Path of a stack's last certificate, relative to the project. */
export function certificatePath(stack: string): string {
  return join(workFolder(stack), "certificate.json");
}

/** What a deploy leaves for the terminal: the certificate, and the seconds of each step. */
export interface Report {
  readonly certificate: Certificate;
  readonly seconds: Readonly<Record<string, number>>;
}

export async function writeReport(stack: string, report: Report): Promise<void> {
  const path = certificatePath(stack);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
}
