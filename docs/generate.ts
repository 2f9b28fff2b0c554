import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { componentsDocument } from "./components";
import { doctorRules } from "./doctorRules";
import { PROJECT, projectFile, reference } from "./reference";

/** Writes what is generated from the code; `--check` reports those that are out of date. */
async function main(args: readonly string[]): Promise<void> {
  const documents: [string, string][] = [
    ["docs/reference.md", await reference()],
    ["docs/components.md", componentsDocument()],
    ["docs/doctor-rules.md", doctorRules()],
    ["Pulumi.yaml", projectFile()],
  ];
  for (const [name, text] of documents) {
    const file = join(PROJECT, name);
    if (!args.includes("--check")) writeFileSync(file, text);
    else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
      process.stderr.write(`${name} is out of date; run "npm run docs"\n`);
      process.exitCode = 1;
    }
  }
}

main(process.argv.slice(2)).catch((cause: Error) => {
  process.stderr.write(`${cause.message}\n`);
  process.exitCode = 1;
});
