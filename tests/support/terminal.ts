import execa from "execa";

export const ESCAPE = String.fromCharCode(27);

/** A control sequence, a control character, or text. */
const PART = new RegExp(`(${ESCAPE}\\[[0-9;]*[A-Za-z])|([\r\n])|([^${ESCAPE}\r\n]+)`, "g");

/** What remained on a terminal, and all that was written to it. */
export interface Recording {
  readonly status: number;
  readonly rows: readonly string[];
  readonly raw: string;
}

/** Runs a program on a terminal of a width, by `script` of util-linux. */
export async function onTerminal(
  columns: number,
  { file, args, options }: { file: string; args: readonly string[]; options: { cwd: string; env: object } },
): Promise<Recording> {
  const words = [file, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const command = `stty cols ${columns} rows 50; exec ${words}`;
  const shell = ["--quiet", "--return", "--command", command, "/dev/null"];
  const env = { TERM: "xterm-256color", ...options.env };
  const { stdout, exitCode } = await execa("script", shell, {
    ...options,
    env,
    reject: false,
    stdin: "ignore",
  });
  return { status: exitCode, rows: rowsOf(stdout, columns), raw: stdout };
}

/** The rows of a terminal after what was written to it: text, moves up, and deletions below. */
export function rowsOf(raw: string, columns: number): string[] {
  const rows: string[] = [""];
  let at = 0;
  for (const [, sequence, control, text] of raw.matchAll(PART)) {
    const [count = "", verb] = [sequence?.slice(2, -1), sequence?.at(-1)];
    if (verb === "A") at = Math.max(0, at - Number(count || 1));
    if (verb === "J") rows.splice(at, rows.length, "");
    if (control === "\n") {
      at += 1;
      rows[at] ??= "";
    }
    for (const character of text ?? "") {
      if ((rows[at] ?? "").length === columns) {
        at += 1;
        rows[at] = "";
      }
      rows[at] += character;
    }
  }
  while (rows.at(-1) === "") rows.pop();
  return rows;
}
