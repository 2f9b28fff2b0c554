import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import execa from "execa";
import { parse, stringify } from "yaml";
import { assertWritten, ownKeys, parseConfig } from "../config";
import { givenByEnvironment, variablesOf } from "../config/environmentKeys";
import { parseStackText } from "../config/text";
import { ConfigError, type DeployConfig, NAMESPACE } from "../config/types";
import { isPackage } from "../freshness/package";
import { commandLine } from "../freshness/project";
import { SourceError } from "../source/checkout";
import { gitWith } from "../source/git";
import { failureMarkdown } from "./markdown";
import { summarize } from "./summary";

/** Folder of the project, with Pulumi.yaml. The npm package's command has changed to it. */
export const PROJECT = isPackage ? process.cwd() : resolve(__dirname, "..");

/** Wrong usage of a command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Runs a command and prints its error on stderr, a clear line first. The exit status is an index of `EXIT_STATUS`. */
export async function run(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (cause) {
    const error = cause as Error;
    process.stderr.write(`error: ${error.message}\n`);
    summarize(failureMarkdown("Failed", [error.message]));
    const usage = error instanceof ConfigError || error instanceof SourceError || error instanceof UsageError;
    process.exitCode = usage ? 2 : 1;
  }
}

/** Path of a stack's configuration. `organization/project/stack` is its full name. */
export function stackFile(stack: string): string {
  if (!/^([A-Za-z0-9_][A-Za-z0-9._-]*\/){0,2}[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(stack))
    throw new UsageError(`"${stack}" is not a stack name; allowed: letters, digits, ".", "_" and "-"`);
  return join(PROJECT, `Pulumi.${stackName(stack)}.yaml`);
}

/** Derives a stack's name from a folder's: only characters that Pulumi allows, in lower case. */
export function stackOf(source: string): string {
  const name = basename(resolve(process.env.INIT_CWD ?? ".", source));
  const stack = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "");
  if (stack === "")
    throw new UsageError(`the folder of ${source} gives no stack name; choose one with --stack`);
  return stack;
}

/** A stack's name without its organization and project. */
export function stackName(stack: string): string {
  return stack.slice(stack.lastIndexOf("/") + 1);
}

/**
 * Reads and validates a stack's configuration from its file, without the CLI: it takes milliseconds and reports all
 * errors at once. Secrets stay encrypted.
 */
export function readStackConfig(stack: string): DeployConfig {
  const file = stackFile(stack);
  const content = existsSync(file) ? parseFile(file) : {};
  const own = Object.entries(ownKeys(content));
  const values = Object.fromEntries(own.map(([key, value]) => [key, withoutSecrets(value)]));
  const name = stackName(stack);
  return parseConfig({ ...values, ...givenByEnvironment(name) }, PROJECT, variablesOf(PROJECT, name));
}

function parseFile(file: string): Readonly<Record<string, unknown>> {
  try {
    assertWritten(file);
    return parseStackText(readFileSync(file, "utf8")).config;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError([`${file} is not YAML: ${(cause as Error).message.trim()}`]);
  }
}

/** Refuses values that the CLI would change when it reads and writes the stack's file. */
export function assertStackWritten(stack: string): void {
  const file = stackFile(stack);
  if (existsSync(file)) parseFile(file);
}

/** Encrypted values are `{secure: …}`, at any depth. */
function withoutSecrets(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  const entries = Object.entries(value);
  const [[key] = [], ...others] = entries;
  if (key === "secure" && others.length === 0) return "[secret]";
  return Object.fromEntries(entries.map(([name, each]) => [name, withoutSecrets(each)]));
}

/**
 * The CLI and the docker commands below it live for seconds. A garbage collection at four times Go's default heap
 * growth (https://pkg.go.dev/runtime, GOGC) saves a tenth of a deploy's CPU time.
 */
const SHORT_LIVED = { GOGC: "400" };

/**
 * Target of the CLI's standard output. `stderr` keeps stdout free for a command's own JSON; `none` also leaves what it
 * prints on stderr to the caller.
 */
export type CliOutput = "inherit" | "stderr" | "none";

/** A core dump of the CLI, the program or a plugin would hold the stack's secrets. */
const WITHOUT_CORE_DUMPS = ["-c", 'ulimit -c 0; exec "$@"', "sh"];

/**
 * Runs the pulumi CLI in the project's environment.
 *
 * @param heard receives standard error as it comes
 * @param hide masks each line of output. Without it the CLI prints itself, on a terminal with its own display
 * @returns its exit status
 */
export async function pulumi(
  args: readonly string[],
  output: CliOutput = "inherit",
  env: Readonly<Record<string, string>> = {},
  heard?: (text: string) => void,
  hide?: (line: string) => string,
): Promise<number> {
  const before = await trackedStackFiles();
  const shown = output === "stderr" ? process.stderr : process.stdout;
  const stdout = output === "none" ? "ignore" : hide ? "pipe" : output === "stderr" ? 2 : "inherit";
  const stdio = ["inherit", stdout, heard ? "pipe" : "inherit"] as const;
  const variables = { ...SHORT_LIVED, ...process.env, ...env };
  const line = [...WITHOUT_CORE_DUMPS, "pulumi", ...args];
  const child = execa("sh", line, { cwd: PROJECT, env: variables, stdio, reject: false });
  child.stderr?.on("data", (chunk) => {
    if (output !== "none") process.stderr.write(chunk);
    heard?.(String(chunk));
  });
  const told = child.stdout && hide ? showLines(child.stdout, shown, hide) : undefined;
  const { exitCode } = await child;
  await told;
  for (const [file, content] of before) restoreUnsalted(file, content);
  return exitCode ?? 1;
}

async function showLines(
  from: NodeJS.ReadableStream,
  to: NodeJS.WritableStream,
  hide: (line: string) => string,
): Promise<void> {
  for await (const line of createInterface({ input: from, crlfDelay: Infinity })) to.write(`${hide(line)}\n`);
}

/** Creates the stack unless it exists. */
export async function ensureStack(stack: string): Promise<void> {
  if (isKnown(stack)) return;
  const before = await trackedStackFiles();
  const init = () =>
    execa("pulumi", ["stack", "init", stack, "--no-select"], { cwd: PROJECT, reject: false });
  let { failed, stderr } = await init();
  // The state is lost, and with it its passphrase; the file still has that passphrase's salt.
  if (failed && /incorrect passphrase/.test(stderr)) {
    forgetSalt(stack);
    ({ failed, stderr } = await init());
  }
  for (const [file, content] of before) restoreUnsalted(file, content);
  if (failed && !/already exists/.test(stderr))
    throw new Error(`pulumi stack init ${stack}: ${stderr.trim()}`);
}

/**
 * Removes the salt of another passphrase from a stack's file.
 *
 * @throws Error if the file has secrets, which need that passphrase
 */
function forgetSalt(stack: string): void {
  const file = stackFile(stack);
  if (!existsSync(file)) return;
  const { encryptionsalt: _, ...rest } = parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const secrets = Object.entries((rest.config ?? {}) as Record<string, unknown>)
    .filter(([, value]) => JSON.stringify(value).includes('"secure":'))
    .map(([key]) => key);
  if (secrets.length > 0)
    throw new Error(
      `the secrets in ${basename(file)} (${secrets.join(", ")}) were encrypted with another passphrase, which was in the lost state; ` +
        `restore .state/passphrase or PULUMI_CONFIG_PASSPHRASE, or remove encryptionsalt and these keys from the file, set them again with "${commandLine(`pulumi config set --secret KEY --stack ${stack}`)}", and deploy`,
    );
  writeFileSync(file, stringify(rest));
}

/**
 * Refuses a stack that has neither a file nor a state, so that a mistyped name creates none.
 *
 * @throws UsageError that names the stacks with a file
 */
export function assertStack(stack: string): void {
  if (existsSync(stackFile(stack)) || isKnown(stack)) return;
  const stacks = readdirSync(PROJECT).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []);
  throw new UsageError(
    `there is no stack "${stack}": ${basename(stackFile(stack))} does not exist; stacks with a file: ${stacks.join(", ")}`,
  );
}

/** Whether a local backend holds the stack's state. Asking the CLI would take a second. */
function isKnown(stack: string): boolean {
  const file = localState(stack);
  return file !== undefined && existsSync(file);
}

/** State file of a stack in a local backend; undefined with another backend. */
function localState(stack: string): string | undefined {
  const backend = process.env.PULUMI_BACKEND_URL ?? "";
  if (!backend.startsWith("file:///")) return undefined;
  return join(fileURLToPath(backend), ".pulumi", "stacks", NAMESPACE, `${stackName(stack)}.json`);
}

/**
 * Restores the CLI's backup of the state: a CLI that is killed while writing leaves a truncated file, of the state or of
 * its attributes. Objects of the lost step are found by their labels.
 *
 * @returns whether it was needed and possible
 */
export function restoreState(stack: string): boolean {
  const file = localState(stack);
  if (file === undefined) return false;
  const isCutOff = !isJson(file);
  if (isCutOff && !isJson(`${file}.bak`)) return false;
  // The CLI reads a state without attributes; they hold its content type and checksum.
  const attributes = [`${file}.attrs`, `${file}.bak.attrs`].filter(
    (each) => existsSync(each) && !isJson(each),
  );
  if (isCutOff) {
    copyFileSync(`${file}.bak`, file);
    attributes.push(`${file}.attrs`);
  }
  for (const each of attributes) rmSync(each, { force: true });
  return isCutOff || attributes.length > 0;
}

function isJson(file: string): boolean {
  try {
    JSON.parse(readFileSync(file, "utf8"));
    return true;
  } catch {
    return false;
  }
}

/** The stack files in git, with their content. */
async function trackedStackFiles(): Promise<[string, string][]> {
  // An archive of the project is not a checkout.
  const stdout = (await gitWith(PROJECT, ["ls-files", "Pulumi.*.yaml"]).catch(() => "")).trim();
  const names = stdout
    ? stdout.split("\n")
    : (await readdir(PROJECT)).filter((name) => /^Pulumi\.(dev|staging|prod)\.yaml$/.test(name));
  return names
    .map((name) => join(PROJECT, name))
    .filter((file) => existsSync(file))
    .map((file) => [file, readFileSync(file, "utf8")]);
}

/**
 * The CLI writes a passphrase's salt into the stack's file. The state has the salt too (and provides it:
 * PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER), so that a deploy need not change the checkout. In a file with a secret the
 * salt stays.
 */
function restoreUnsalted(file: string, before: string): void {
  const after = existsSync(file) ? readFileSync(file, "utf8") : before;
  if (after === before || /^encryptionsalt:/m.test(before) || /^\s+secure:/m.test(after)) return;
  const { encryptionsalt, ...rest } = parse(after) as Record<string, unknown>;
  if (encryptionsalt !== undefined && JSON.stringify(rest) === JSON.stringify(parse(before) ?? {}))
    writeFileSync(file, before);
}
