import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT, reference } from "./reference";

/** Writes docs/reference.md; with `--check` says whether it is what would be written. */
async function main(args: readonly string[]): Promise<void> {
  const file = join(PROJECT, "docs", "reference.md");
  const text = await reference();
  if (!args.includes("--check")) return writeFileSync(file, text);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  process.stderr.write('docs/reference.md is out of date; run "npm run docs"\n');
  process.exitCode = 1;
}

main(process.argv.slice(2)).catch((cause: Error) => {
  process.stderr.write(`${cause.message}\n`);
  process.exitCode = 1;
});
