import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Argument } from "commander";
import execa from "execa";
import { parseDotenv } from "../config/dotenv";
import { parseStackText } from "../config/text";
import { NAMESPACE } from "../config/types";
import { commandLine } from "../freshness/project";
import { ProjectCommand } from "./command";
import { ensureStack, PROJECT, readStackConfig, run, stackFile, UsageError } from "./project";

const command = new ProjectCommand("secrets")
  .description(
    "`import FILE` reads lines of NAME=value, as compose does, and writes each into the service's `secretEnv`, encrypted. No value is on a command line or printed.",
  )
  .addArgument(new Argument("<action>", "import").choices(["import"]))
  .argument("<file>", "a file of environment variables, such as .env")
  .ofStack()
  .option("--service <name>", "the service (default: the only one)");

run(async () => {
  const { stack, service } = command.parse().opts<{ stack: string; service?: string }>();
  const [, file] = command.processedArgs as [string, string];
  const name = chosenService(stack, service);
  const values = readValues(file);
  const { services } = readStackConfig(stack);
  const plain = services.find((each) => each.name === name)?.env ?? {};
  const twice = Object.keys(values).filter((variable) => variable in plain);
  if (twice.length > 0)
    throw new UsageError(
      `${twice.join(", ")}: set in ${NAMESPACE}:services.${name}.env already; remove them there, or from the file`,
    );
  await ensureStack(stack);
  for (const [variable, value] of Object.entries(values)) {
    const key = `${NAMESPACE}:services.${name}.secretEnv.${variable}`;
    await setSecret(stack, key, value);
    process.stdout.write(`${key}: set\n`);
  }
  const count = Object.keys(values).length;
  process.stdout.write(
    `${count === 1 ? "1 secret is" : `${count} secrets are`} encrypted in Pulumi.${stack}.yaml; "${commandLine(`up --stack ${stack}`)}" deploys them\n`,
  );
  return 0;
});

/** @throws UsageError if the stack's file does not name the service */
function chosenService(stack: string, asked: string | undefined): string {
  const path = stackFile(stack);
  const { config } = existsSync(path) ? parseStackText(readFileSync(path, "utf8")) : { config: {} };
  const services: unknown = (config as Readonly<Record<string, unknown>>)[`${NAMESPACE}:services`];
  // A path below a key that is not set would make the one service all there are.
  if (typeof services !== "object" || services === null)
    throw new UsageError(
      `Pulumi.${stack}.yaml has no ${NAMESPACE}:services; allowed: the services as a mapping there`,
    );
  const names = Object.keys(services);
  const [only] = names;
  if (asked === undefined && names.length === 1 && only !== undefined) return only;
  if (asked === undefined)
    throw new UsageError(`which service? Use --service with one of ${names.join(", ")}`);
  if (!names.includes(asked))
    throw new UsageError(`stack ${stack} has no service "${asked}"; allowed: ${names.join(", ")}`);
  return asked;
}

/** @throws UsageError if the file cannot be read as a whole: nothing is written then */
function readValues(file: string): Readonly<Record<string, string>> {
  const path = resolve(process.env.INIT_CWD ?? ".", file);
  if (!existsSync(path)) throw new UsageError(`there is no file ${path}`);
  const { values, problems } = parseDotenv(readFileSync(path, "utf8"), (name) => process.env[name]);
  const strange = Object.keys(values).filter((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  const wrong = [...problems, ...strange.map((name) => `${name}: allowed: a name of letters, digits and _`)];
  if (wrong.length > 0) throw new UsageError(`${path}: ${wrong.join("; ")}`);
  if (Object.keys(values).length === 0) throw new UsageError(`${path} has no lines of NAME=value`);
  return values;
}

/** Passes the value on standard input, of which the CLI removes one line end. */
async function setSecret(stack: string, key: string, value: string): Promise<void> {
  const args = ["config", "set", "--secret", "--path", key, "--stack", stack];
  const { failed, stderr } = await execa("pulumi", args, {
    cwd: PROJECT,
    input: `${value}\n`,
    reject: false,
  });
  if (failed) throw new Error(`pulumi config set ${key}: ${stderr.trim()}`);
}
