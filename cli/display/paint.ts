import { stripVTControlCharacters, styleText } from "node:util";

/** Where a display writes. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Colour = "green" | "red" | "yellow" | "dim";

/** Colours text. */
export type Paint = (colour: Colour, text: string) => string;

/** Whether lines of the screen can be drawn again in place. */
export function isTerminal({ isTTY }: Screen, env: Environment = process.env): boolean {
  return isTTY === true && env.TERM !== "dumb";
}

/** Whether to use colours: only on a terminal, and not if NO_COLOR is set (https://no-color.org). */
export function hasColour(screen: Screen, env: Environment = process.env): boolean {
  return isTerminal(screen, env) && (env.NO_COLOR ?? "") === "";
}

export function painter(screen: Screen, env: Environment = process.env): Paint {
  if (!hasColour(screen, env)) return (_, text) => text;
  return (colour, text) => styleText(colour, text, { validateStream: false });
}

/** Columns of a terminal that does not report its size. */
const USUAL_COLUMNS = 80;

export function columnsOf({ columns }: Screen): number {
  return columns === undefined || columns < 1 ? USUAL_COLUMNS : columns;
}

/** Cuts text without colours to a width in columns, and replaces control characters. */
export function cut(text: string, width: number): string {
  const plain = stripVTControlCharacters(text).replace(/\p{Cc}/gu, " ");
  let used = 0;
  let kept = "";
  for (const character of plain) {
    used += widthOf(character);
    if (used > width) return `${kept.slice(0, -1)}…`;
    kept += character;
  }
  return kept;
}

/** Columns of a character. Some narrow ones count as wide, so that a line never exceeds the width. */
function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code >= 0x1100 && !(code >= 0x2010 && code <= 0x27bf) ? 2 : 1;
}
