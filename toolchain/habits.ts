/**
 * Counts the habits that make this code and its texts hard to read. A number may only fall: where it does, the limit below is
 * lowered with it.
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gitWith } from "../source/git";

const project = dirname(__dirname);

interface Habit {
  readonly name: string;
  readonly pattern: RegExp;
  /** What to do instead. */
  readonly better: string;
  /** How many there are today. */
  readonly limit: number;
}

const WORDS: readonly Habit[] = [
  { name: "anew", pattern: /\banew\b/gi, better: "again", limit: 0 },
  { name: "is told", pattern: /\b(is|are|was) told\b/gi, better: "name who reports it", limit: 0 },
  { name: "nobody", pattern: /\bnobody\b/gi, better: "no one, or name the subject", limit: 4 },
  { name: "amid", pattern: /\bamid\b/gi, better: "during, while", limit: 0 },
  { name: "where there is", pattern: /\bwhere (there|it|that) (is|are|was)\b/gi, better: "if", limit: 3 },
  { name: "where there is no", pattern: /\bwhere (none|no) (is|are|was)?\b/gi, better: "without", limit: 0 },
  {
    name: "what … is",
    pattern: /\b[Ww]hat is (there|told|said|asked|put|gone|left)\b/g,
    better: "name it",
    limit: 0,
  },
];

const CODE: readonly Habit[] = [
  { name: "...{", pattern: /\.\.\.\{(?! *\})/g, better: "one key a line", limit: 0 },
  {
    name: "x!",
    pattern: /[\w)\]]!(?=[.;,)\]}\s[])(?! ?=)/g,
    better: "a check, or a type without undefined",
    limit: 0,
  },
  {
    name: ".catch(() => undefined)",
    pattern: /\.catch\(\(\) => undefined\)/g,
    better: "startEarly(), or handle it",
    limit: 0,
  },
];

async function filesOf(...patterns: readonly string[]): Promise<string[]> {
  const listed = await gitWith(project, ["ls-files", "-z", "--", ...patterns]);
  return listed
    .split("\0")
    .filter(
      (path) => path !== "" && path !== "toolchain/habits.ts" && !/^(examples|tests\/fixtures)\//.test(path),
    );
}

function count(habit: Habit, paths: readonly string[]): { readonly path: string; readonly line: number }[] {
  return paths.flatMap((path) =>
    readFileSync(join(project, path), "utf8")
      .split("\n")
      .flatMap((text, at) => [...text.matchAll(habit.pattern)].map(() => ({ path, line: at + 1 }))),
  );
}

/** Prints what exceeds its limit; `--list` prints all places. */
async function main(): Promise<void> {
  const texts = await filesOf("*.ts", "*.md");
  const code = await filesOf("*.ts", ":!tests");
  for (const habit of [...WORDS, ...CODE]) {
    const found = count(habit, WORDS.includes(habit) ? texts : code);
    if (process.argv.includes("--list"))
      for (const { path, line } of found) process.stdout.write(`${habit.name}: ${path}:${line}\n`);
    if (found.length <= habit.limit) continue;
    process.exitCode = 1;
    const places = found.slice(0, 5).map(({ path, line }) => `  ${path}:${line}`);
    process.stderr.write(
      `${habit.name}: ${found.length}, at most ${habit.limit}; better: ${habit.better}\n${places.join("\n")}\n`,
    );
  }
}

void main();
