import type { Verdict } from "../freshness/chain";

/** The chain as a table: link, service, status, found. */
export function table(links: readonly Verdict[]): string {
  return columns(links.map(({ link, service, status, found }) => [link, service, status, found]));
}

/** Rows as text in columns; the last column may be of any width. */
export function columns(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows
    .map((row) => row.map((cell, column) => (column + 1 < row.length ? cell.padEnd(width(column)) : cell)))
    .map((row) => row.join("  ").trimEnd())
    .join("\n");
}

/** Rows as a table of Markdown. The cells are Markdown already. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
