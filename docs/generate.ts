import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { doctorRules } from "./doctorRules";
import { PROJECT, reference } from "./reference";

/** Writes the generated documents; `--check` reports those that are out of date. */
async function main(args: readonly string[]): Promise<void> {
  const documents: [string, string][] = [
    ["reference.md", await reference()],
    ["doctor-rules.md", doctorRules()],
  ];
  for (const [name, text] of documents) {
    const file = join(PROJECT, "docs", name);
    if (!args.includes("--check")) writeFileSync(file, text);
    else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
      process.stderr.write(`docs/${name} is out of date; run "npm run docs"\n`);
      process.exitCode = 1;
    }
  }
}

main(process.argv.slice(2)).catch((cause: Error) => {
  process.stderr.write(`${cause.message}\n`);
  process.exitCode = 1;
});
