import { existsSync, statSync, writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { stringify } from "yaml";
import { ownKeys, parseConfig } from "../config";
import { serviceKeys } from "../config/serviceSchema";
import { NAMESPACE } from "../config/types";
import { examine } from "../packages/doctor/examine";
import { guessLayout, isGuessedFrom } from "../packages/doctor/init/layout";
import { counted, summed } from "../packages/doctor/report";
import { readRepository } from "../packages/doctor/repository";
import { canListen } from "../release/preflight";
import { ProjectCommand } from "./command";
import { run, stackFile, stackOf, UsageError } from "./project";

interface Options {
  readonly stack?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const command = new ProjectCommand("init")
  .description("Writes a stack's configuration for an existing app, and gives the reason for each guess.")
  .argument("<path>", "the app's repository")
  .option("--stack <name>", "the stack (default: the folder's name)")
  .option("--force", "overwrite an existing configuration")
  .json();

run(async () => {
  command.parse();
  const { stack: named, force = false, json = false } = command.opts<Options>();
  const given = command.args[0]!;
  const source = resolve(process.env.INIT_CWD ?? ".", given);
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`"${given}" is not a folder; give the path of the app's repository`);
  const stack = named ?? stackOf(given);
  const file = stackFile(stack);
  if (existsSync(file) && !force)
    throw new UsageError(`${file} exists; choose another stack with --stack, or overwrite it with --force`);

  const repository = await readRepository(source, isGuessedFrom);
  const { services, guesses, decisions: open, left } = guessLayout(repository, basename(source), isAccepted);
  const decisions = [
    ...open,
    ...(repository.tracked ? [] : ["a deploy needs a commit: run git init here, and commit"]),
  ];
  if (Object.keys(services).length === 0)
    throw new Error(
      `nothing to deploy below ${source}: no Dockerfile and no compose file with a build section; write a Dockerfile (README, "Your own app")${decisions.map((line) => `\n  ${line}`).join("")}`,
    );
  const address = "127.0.0.1";
  let port = 8080;
  while (!(await canListen({ address, port }))) port += 1;
  const config = {
    [`${NAMESPACE}:source`]: source,
    [`${NAMESPACE}:listen`]: `${address}:${port}`,
    [`${NAMESPACE}:services`]: services,
  };
  parseConfig(ownKeys(config));
  // The CLI parses more words as numbers, dates and booleans than YAML 1.2 does: quote those.
  writeFileSync(file, stringify({ config }, { version: "1.1" }));

  const findings = examine(repository);
  // The deploy refuses stale code, and images that cannot prove their commit.
  const isRefused = findings.some(
    ({ severity, rule }) => severity === "error" || rule === "commit-not-proven",
  );
  const next = isRefused ? `npm run -s doctor -- ${source}` : `npm run up -- --stack ${stack}`;
  for (const line of guesses) process.stderr.write(`guessed  ${line}\n`);
  for (const line of left) process.stderr.write(`left out ${line}\n`);
  for (const line of decisions) process.stderr.write(`decide   ${line}\n`);
  process.stderr.write(`wrote    ${file}\ndoctor   ${summed(findings)}\nnext     ${next}\n`);
  if (json)
    process.stdout.write(
      `${JSON.stringify({ stack, file, config, guesses, left, decisions, doctor: counted(findings), next }, null, 2)}\n`,
    );
  return 0;
});

/** Whether the configuration takes a value under a service's key. */
function isAccepted(key: string, value: unknown): boolean {
  if (!serviceKeys.includes(key)) return false;
  try {
    parseConfig({ source: ".", services: { probe: { context: ".", [key]: value } } });
    return true;
  } catch {
    return false;
  }
}
