import { EVERY_SERVICE, LINKS, type Verdict } from "../../freshness/chain";
import type { Paint } from "./paint";

/** The chain as one line a service: its links with a tick each. In a narrow terminal a line continues below. */
export function chainLines(links: readonly Verdict[], width: number, paint: Paint): string[] {
  const services = [...new Set(links.map(({ service }) => service))].filter((name) => name !== EVERY_SERVICE);
  const names = services.length === 0 ? [EVERY_SERVICE] : services;
  const column = Math.min(Math.max(...names.map(({ length }) => length)), Math.floor(width / 3));
  const lines = names.flatMap((name) => {
    const own = links.filter(({ service }) => service === name || service === EVERY_SERVICE);
    const shown = LINKS.flatMap((link) => own.find((verdict) => verdict.link === link) ?? []);
    return rowsOf(shown, width - column - 2, paint).map(
      (row, at) => `${(at === 0 ? name.slice(0, column) : "").padEnd(column)}  ${row}`,
    );
  });
  const unchecked = links.filter(({ status }) => status === "not checked");
  return [
    ...lines,
    ...unchecked.map(({ link, service, found }) => `${link} of ${service} not checked: ${found}`),
  ];
}

/** The links in rows of a width. */
function rowsOf(links: readonly Verdict[], width: number, paint: Paint): string[] {
  const length = (gap: string) => links.reduce((all, { link }) => all + link.length + gap.length + 2, -1);
  const gap = length(" ") <= width ? " " : "";
  const rows: string[] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const { link, status } of links) {
    const cell = `${markOf(status, paint)}${gap}${link}`;
    const columns = link.length + gap.length + 1;
    if (used + 1 + columns > width) {
      rows.push(cell);
      used = columns;
    } else {
      rows.push(`${rows.pop()} ${cell}`);
      used += 1 + columns;
    }
  }
  return rows;
}

function markOf(status: Verdict["status"], paint: Paint): string {
  if (status === "proven") return paint("green", "✓");
  return status === "broken" ? paint("red", "✗") : paint("yellow", "–");
}
