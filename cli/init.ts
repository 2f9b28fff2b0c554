import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, posix, resolve, sep } from "node:path";
import { createInterface } from "node:readline/promises";
import { stringify } from "yaml";
import { ownKeys, parseConfig } from "../config";
import { parseDotenv } from "../config/dotenv";
import { variablesFile } from "../config/environmentKeys";
import { serviceKeys } from "../config/serviceSchema";
import { isPackage, PACKAGE, projectName } from "../freshness/package";
import { commandLine, NAMESPACE } from "../freshness/project";
import { examine } from "../packages/doctor/examine";
import { guessLayout, isGuessedFrom, type Layout } from "../packages/doctor/init/layout";
import { diffOf } from "../packages/doctor/init/write/change";
import { type WritePlan, writePlan } from "../packages/doctor/init/write/plan";
import { counted, summed } from "../packages/doctor/report";
import { readRepository } from "../packages/doctor/repository";
import { canListen } from "../release/preflight";
import { ownPackage } from "../toolchain/paths";
import { ProjectCommand } from "./command";
import { projectFiles } from "./newProject";
import { run, stackFile, stackOf, UsageError } from "./project";

interface Options {
  readonly stack?: string;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly write?: boolean;
  readonly yes?: boolean;
}

const command = new ProjectCommand("init")
  .description("Writes a stack's configuration for an existing app, and gives the reason for each guess.")
  .argument(isPackage ? "[path]" : "<path>", "the app's repository")
  .option("--stack <name>", `the stack (default: ${isPackage ? '"dev"' : "the folder's name"})`)
  .option("--force", "overwrite an existing configuration")
  .option("--write", "add to the app what it lacks: lines of its Dockerfiles, an ignore file, a version path")
  .option("--yes", "accept the shown changes of files without a question")
  .json();

run(async () => {
  command.parse();
  const { stack: named, force = false, json = false, write = false, yes = false } = command.opts<Options>();
  const given = command.args[0] ?? ".";
  const source = resolve(process.env.INIT_CWD ?? ".", given);
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`"${given}" is not a folder; give the path of the app's repository`);
  const stack = named ?? (isPackage ? "dev" : stackOf(given));
  const file = stackFile(stack);
  if (!isPackage && existsSync(file) && !force)
    throw new UsageError(`${file} exists; choose another stack with --stack, or overwrite it with --force`);

  const repository = await readRepository(source, isGuessedFrom);
  const layout = guessLayout(repository, basename(source), isAccepted);
  const { guesses, left } = layout;
  const plan = write ? writePlan(repository, layout.writable) : undefined;
  const services = withSettings(layout.services, plan);
  const secrets = { file: variablesFile(stack), values: layout.secrets };
  const accessories = Object.keys(layout.accessories).length > 0 ? layout.accessories : undefined;
  const decisions = [
    ...(plan ? layout.decisions.filter((line) => !isWritten(line, plan)) : layout.decisions),
    ...(repository.tracked ? [] : ["a deploy needs a commit: run git init here, and commit"]),
  ];
  if (Object.keys(services).length === 0)
    throw new Error(
      `nothing to deploy below ${source}: no Dockerfile and no compose file with a build section; write a Dockerfile (README, "Your own app")${decisions.map((line) => `\n  ${line}`).join("")}`,
    );
  const address = "127.0.0.1";
  let port = 8080;
  while (!(await canListen({ address, port }))) port += 1;
  const listen = `${address}:${port}`;
  if (isPackage) {
    parseConfig({ source, listen, services, accessories });
    const project = planProject(source, stack, { listen, services, accessories }, secrets.values.size > 0);
    const all = {
      changes: [...(plan?.changes ?? []), ...project.changes],
      why: [...(plan?.why ?? []), ...project.why],
    };
    tell({ guesses, left, decisions });
    if (all.changes.length > 0 && !(await offered(all, source, yes))) return 0;
    const written = all.changes.map(({ path }) => path);
    const secretsFile = writeSecrets(join(source, project.folder), secrets);
    process.stderr.write(`wrote    ${written.join(", ") || "nothing: all files are there"}\n${secretsFile}`);
    const found = examine(await readRepository(source, isGuessedFrom));
    const folder = project.folder === "" ? "" : `cd ${project.folder} && `;
    process.stderr.write(
      `doctor   ${summed(found)}\nnext     git -C ${source} add --all && git -C ${source} commit -m "Deploy with ${PACKAGE}"\nnext     ${folder}npm install && ${commandLine("up")}\n`,
    );
    return 0;
  }
  const config = {
    [`${NAMESPACE}:source`]: source,
    [`${NAMESPACE}:listen`]: listen,
    [`${NAMESPACE}:services`]: services,
    [`${NAMESPACE}:accessories`]: accessories,
  };
  parseConfig(ownKeys(config));
  const accepted = plan === undefined || plan.changes.length === 0 || (await offered(plan, source, yes));
  // The CLI parses more words as numbers, dates and booleans than YAML 1.2 does: quote those.
  writeFileSync(file, stringify({ config }, { version: "1.1" }));
  const secretsFile = writeSecrets(dirname(file), secrets);

  const written = plan && accepted ? await readRepository(source, isGuessedFrom) : repository;
  const findings = examine(written);
  // The deploy refuses stale code, and images that cannot prove their commit. It passes the commit to its own builds.
  const dockerfiles = layout.writable.map(({ build }) => build.dockerfile);
  const lacks = writePlan(written, layout.writable).changes.some(({ path }) => dockerfiles.includes(path));
  const isRefused = lacks || findings.some(({ severity }) => severity === "error");
  const isChanged = plan !== undefined && accepted && plan.changes.length > 0;
  const next = isRefused ? commandLine(`doctor ${source}`) : commandLine(`up --stack ${stack}`);
  tell({ guesses, left, decisions });
  if (isChanged)
    process.stderr.write(
      `changed  ${plan.changes.map(({ path }) => path).join(", ")}\ncommit   git -C ${source} add --all && git -C ${source} commit -m "Answer with the commit that is served"\n`,
    );
  process.stderr.write(`wrote    ${file}\n${secretsFile}doctor   ${summed(findings)}\nnext     ${next}\n`);
  if (json)
    process.stdout.write(
      `${JSON.stringify({ stack, file, config, guesses, left, decisions, doctor: counted(findings), next }, null, 2)}\n`,
    );
  return 0;
});

/** Plans the files that make an app's repository a project of its own. */
function planProject(
  source: string,
  stack: string,
  config: Readonly<Record<string, unknown>>,
  hasSecrets: boolean,
) {
  const read = (path: string) => {
    const file = join(source, path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  const { version, repository } = ownPackage();
  // The app's own package.json stays as it is: its image would install this package too.
  const own = read("package.json");
  const folder = own === undefined || own.includes(`"${PACKAGE}"`) ? "" : "deploy";
  const name = projectName(read(posix.join(folder, "Pulumi.yaml")) ?? "") ?? stackOf(source);
  const files = projectFiles({
    name,
    stack,
    folder,
    config: folder === "" ? config : { source: "..", ...config },
    version,
    workflows: repository.replace(/^github:/, ""),
    ignored: hasSecrets ? [variablesFile(stack)] : [],
    read,
  });
  return { ...files, folder };
}

/**
 * Adds the secrets to the stack's own file, which git does not track. A variable that it has keeps its value.
 *
 * @returns the lines that tell of it
 */
function writeSecrets(
  folder: string,
  { file, values }: { readonly file: string; readonly values: ReadonlyMap<string, string> },
): string {
  const path = join(folder, file);
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  const known = parseDotenv(before).values;
  const added = [...values].filter(([name]) => !(name in known));
  if (added.length === 0) return "";
  const lines = added.map(([name, value]) => `${name}=${quoted(value)}\n`);
  const start = before === "" || before.endsWith("\n") ? before : `${before}\n`;
  writeFileSync(path, `${start}${lines.join("")}`, { mode: 0o600 });
  const names = added.map(([name]) => name).join(", ");
  return `wrote    ${path}: ${names}\nsecret   keep ${file} out of git; if it is missing, as in CI, \`up\` takes variables of these names\n`;
}

/** A value as a file of variables has it. */
function quoted(value: string): string {
  return value.includes("'") ? `"${value.replace(/["\\$]/g, "\\$&")}"` : `'${value}'`;
}

function tell({
  guesses,
  left,
  decisions,
}: Pick<Layout, "guesses" | "left"> & { readonly decisions: readonly string[] }): void {
  for (const line of guesses) process.stderr.write(`guessed  ${line}\n`);
  for (const line of left) process.stderr.write(`left out ${line}\n`);
  for (const line of decisions) process.stderr.write(`decide   ${line}\n`);
}

/** Shows the changes as a diff and makes them, if the user accepts. */
async function offered(
  plan: Pick<WritePlan, "changes" | "why">,
  source: string,
  yes: boolean,
): Promise<boolean> {
  process.stderr.write(diffOf(plan.changes));
  for (const line of plan.why) process.stderr.write(`adds     ${line}\n`);
  if (!yes && !process.stdin.isTTY)
    throw new UsageError("nothing was changed: accept the changes above with --yes");
  if (!yes && !(await confirmed(`Change these ${plan.changes.length} files below ${source}?`))) return false;
  for (const { path, after } of plan.changes) {
    const place = join(source, path);
    mkdirSync(dirname(place), { recursive: true });
    const folder = realpathSync(dirname(place));
    const root = realpathSync(source);
    if (folder !== root && !folder.startsWith(`${root}${sep}`))
      throw new UsageError(`${path} lies behind a link that leads out of ${source}`);
    writeFileSync(place, after);
  }
  return true;
}

async function confirmed(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim());
  } finally {
    prompt.close();
  }
}

/** The services with the settings that belong to what is added. */
function withSettings(services: Layout["services"], plan: WritePlan | undefined): Layout["services"] {
  return Object.fromEntries(
    Object.entries(services).map(([name, service]) => [name, { ...service, ...plan?.settings[name] }]),
  );
}

/** Whether the changes settle a decision that was open. */
function isWritten(decision: string, { settings, changes }: WritePlan): boolean {
  const name = decision.split(":")[0] ?? "";
  if (changes.length === 0) return false;
  if (decision.includes("has to answer /version")) return true;
  return decision.includes("no health check found") && settings[name]?.health !== undefined;
}

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
