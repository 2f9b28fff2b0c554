import type { Verdict } from "../freshness/chain";

/** The chain as a table: link, service, status, found. */
export function table(links: readonly Verdict[]): string {
  const rows = links.map(({ link, service, status, found }) => [link, service, status, found]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")).join("\n");
}
