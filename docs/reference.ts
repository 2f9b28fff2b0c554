import { readFileSync } from "node:fs";
import { join } from "node:path";
import execa from "execa";
import { parse } from "yaml";
import { z } from "zod";
import { NAMESPACE, schema } from "../config";
import { gitWith } from "../source/git";

/** The project's folder. */
export const PROJECT = join(__dirname, "..");

/** One key of the configuration. */
export interface Key {
  readonly name: string;
  readonly type: string;
  readonly default: string;
  readonly meaning: string;
}

/** What a command's `--help` says. */
export interface CommandHelp {
  /** The npm script. */
  readonly script: string;
  readonly usage: string;
  readonly description: string;
  readonly options: readonly { readonly flags: string; readonly meaning: string }[];
}

/** What of JSON schema the configuration's needs. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
}

const OUTPUTS: Readonly<Record<string, string>> = {
  url: "Where users reach the app",
  commit: "What is served: the commit, or `<sha>-dirty-<tree>`",
  images: "Service → digest of its image",
  freshness: "The [certificate](certificate.md)",
  pruned: "What the last prune gave back: `text` in the engine's words, `bytes` where they can be read",
  seconds: "Step → how long it took",
  record: "Secret: what `verify`, `releases`, `rollback` and the next `up` need to know",
};

const VARIABLES: Readonly<Record<string, string>> = {
  WATCH_PARTY_REBUILD: "`1`: prune and build anew, as `up --rebuild` does",
  WATCH_PARTY_RESUME: "`1`: end a rollback, as `up --resume` does",
  WATCH_PARTY_ALLOW_OLDER:
    "`1`: a commit older than the one that runs may be deployed, as by `up --allow-older`",
  WATCH_PARTY_ADOPT: "`1`: take over what runs without being in the stack's state, as `up --adopt` does",
  WATCH_PARTY_ROLLBACK: "The commit of the release to go back to, as by `rollback --to`",
  WATCH_PARTY_FROM_STACK: "The stack whose images are deployed; `up --from-stack` also brings them",
  WATCH_PARTY_RESTART: "The commit that runs: it is run in new containers, as `clear-caches` does",
  WATCH_PARTY_COMMIT: "What is deployed in place of `watch-party:commit`",
  WATCH_PARTY_SERVER_KEY_STACK:
    "The private key of the server of stack STACK (in capitals, `_` for all but letters and digits), in place of `watch-party:serverKey`",
  WATCH_PARTY_REGISTRY_PASSWORD_STACK:
    "The password of the registry of stack STACK, named likewise, in place of `watch-party:registryPassword`",
  WATCH_PARTY_TOOLCHAIN: "Another folder than `.toolchain`",
  WATCH_PARTY_OFFLINE: "Any value: as if the official downloads could not be reached",
  WATCH_PARTY_FULL: "`1`: the full form of the test suites",
  WATCH_PARTY_SEED: "The seed of the property test of Dockerfiles",
  WATCH_PARTY_SHAPES: "The app shapes that tests/shapes deploys, their names with commas between",
  WATCH_PARTY_FAULT_ROWS: "Set by `npm test`: where the fault suites leave their rows",
};

/** The text of docs/reference.md, from the code as it is. */
export async function reference(): Promise<string> {
  const [commands, variables] = await Promise.all([readCommands(), readVariables()]);
  const { keys, server, registry, services, accessories, backup } = configKeys();
  const sections = [
    "# Reference",
    "Written by `npm run docs` from the code; `npm run check` fails where it is out of date.",
    "## Configuration",
    `Keys of the namespace \`${NAMESPACE}\`, in \`Pulumi.STACK.yaml\` or by \`pulumi config set KEY VALUE\`. All problems of a configuration are told at once, by key.`,
    keyTable(keys),
    `### \`${NAMESPACE}:server\``,
    keyTable(server),
    `### \`${NAMESPACE}:registry\``,
    keyTable(registry),
    `### \`${NAMESPACE}:services.NAME\``,
    "A name has lower-case letters, digits and `-`. Without `services` there are two, `frontend` and `backend`.",
    keyTable(services),
    `### \`${NAMESPACE}:accessories.NAME\``,
    "A name has lower-case letters, digits and `-`, and is no service's.",
    keyTable(accessories),
    "### `backup` of an accessory or a service",
    "A text is its `kind`.",
    keyTable(backup),
    "## Outputs of a stack",
    table(["output", "is"], outputs()),
    "## Commands",
    "Options stand behind `--`: `npm run -s verify -- --stack prod`. `npm run -s pulumi -- ARGS…` passes all on to the Pulumi CLI.",
    ...commands.flatMap(({ script, usage, description, options }) => [
      `### \`npm run ${script}\``,
      description,
      `Usage: \`${usage}\``,
      table(
        ["option", "does"],
        options.map(({ flags, meaning }) => [`\`${flags}\``, meaning]),
      ),
    ]),
    "## Exit status",
    table(["status", "means"], exitStatus()),
    "## Environment",
    table(
      ["variable", "means"],
      variables.map((name) => [`\`${name}\``, VARIABLES[name]!]),
    ),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** The keys of a stack, of its server, its registry and a service; their meaning stands in Pulumi.yaml and in config/index.ts. */
export function configKeys(): Readonly<
  Record<"keys" | "server" | "registry" | "services" | "accessories" | "backup", Key[]>
> {
  const all = z.toJSONSchema(schema, { io: "output", unrepresentable: "any" }) as Schema;
  const declared = parse(read("Pulumi.yaml")).config as Record<
    string,
    { default: unknown; description: string }
  >;
  const { server, registry, services, accessories } = all.properties!;
  const of = (name: string, type: Schema, meaning: string | undefined, isRequired: boolean): Key => {
    if (!meaning)
      throw new Error(`docs: the key ${name} has no description in Pulumi.yaml or config/index.ts`);
    const [text, , told] = /^([\s\S]*?)( ?Default: ([\s\S]*?)\.?)?$/.exec(meaning)!.slice(1);
    const standard = type.default === undefined || isBlank(type.default) ? "" : `\`${type.default}\``;
    return {
      name,
      type: describe(type),
      default:
        told?.replace(/^(\d+|true|false)$/, "`$1`") ?? (standard || (isRequired ? "**required**" : "none")),
      meaning: text!.trim(),
    };
  };
  const documented = (part: Schema, name: string) => {
    const comments = docComments(name);
    return Object.entries(part.properties!).map(([key, type]) =>
      of(key, type, comments[key], Boolean(part.required?.includes(key)) && type.default === undefined),
    );
  };
  return {
    keys: Object.entries(all.properties!).map(([key, type]) =>
      of(key, type, declared[key]?.description.replaceAll(" - ", ": "), false),
    ),
    server: documented(server!, "ServerConfig"),
    registry: documented(registry!, "RegistryConfig"),
    services: documented(services!.additionalProperties as Schema, "ServiceConfig"),
    accessories: documented(accessories!.additionalProperties as Schema, "AccessoryConfig"),
    backup: documented((accessories!.additionalProperties as Schema).properties!.backup!, "BackupConfig"),
  };
}

/** Loads the commands, of which each parses its arguments first, and asks what they would say to `--help`. */
const ASK = `
const { Command } = require("commander");
const said = {};
Command.prototype.parse = function () {
  said[this.name()] = this.helpInformation();
  throw new Error("asked for help");
};
process.on("exit", () => process.stdout.write(JSON.stringify(said)));
for (const file of process.argv.slice(1)) require(file);
`;

/** What each command says of itself, in the order of package.json. */
export async function readCommands(): Promise<CommandHelp[]> {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  // What passes its arguments on has no options of its own.
  const own = Object.entries(scripts).filter(
    // Two names of one command stand in its usage.
    ([name, line], at, all) =>
      /cli\/\S+\.ts$/.test(line) && name !== "pulumi" && all.findIndex(([, other]) => other === line) === at,
  );
  const files = own.map(([, line]) => join(PROJECT, line.split(" ").at(-1)!));
  const node = ["--require", "@swc-node/register", "--eval", ASK, ...files];
  const { stdout } = await execa(process.execPath, node, { cwd: PROJECT, reject: false });
  const said = JSON.parse(stdout) as Record<string, string>;
  return own.map(([script]) => {
    if (said[script] === undefined)
      throw new Error(`docs: the command of "npm run ${script}" has another name`);
    return parseHelp(script, said[script]);
  });
}

/** Reads what commander prints, whose lines are wrapped at 80 columns. */
export function parseHelp(script: string, help: string): CommandHelp {
  const [usage = "", description = "", ...rest] = help.trim().split(/\n\n/);
  const lines = rest.flatMap((section) => section.split("\n").slice(1));
  const options: { flags: string; meaning: string }[] = [];
  for (const line of lines) {
    const [, flags, meaning] = /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    const last = options.at(-1);
    if (flags !== undefined) options.push({ flags, meaning: meaning ?? "" });
    else if (last) last.meaning = `${last.meaning} ${line.trim()}`.trim();
  }
  return {
    script,
    usage: usage.replace(/^Usage: \S+/, `npm run ${script} --`),
    description: description.replaceAll("\n", " "),
    options: options.filter(({ flags }) => !flags.includes("--help")),
  };
}

function outputs(): string[][] {
  const [, body = ""] = /const outputs = \{\n([\s\S]*?)\n {2}\};/.exec(read("release/publish.ts")) ?? [];
  const names = [...body.matchAll(/^ {4}(\w+)[,:]/gm)].map(([, name]) => name!);
  return explained(names, OUTPUTS, "output");
}

function exitStatus(): string[][] {
  const [, words = ""] = /Exit status: (.*?)\.\n/.exec(read("cli/project.ts")) ?? [];
  return words.split(", ").map((each) => [each.slice(0, 1), each.slice(2)]);
}

async function readVariables(): Promise<string[]> {
  const listed = await gitWith(PROJECT, [
    "grep",
    "--untracked",
    "-hoE",
    "WATCH_PARTY_[A-Z_]+",
    "--",
    "*.ts",
    "*.js",
    "*.sh",
    ":!docs",
    ":!tests/unit/docs.test.ts",
  ]);
  const stdout = listed.trim();
  // A stack's own variable ends in its name.
  const found = new Set(
    stdout
      .split("\n")
      .map((name) => name.replace(/^(WATCH_PARTY_(SERVER_KEY|REGISTRY_PASSWORD)_).*/, "$1STACK")),
  );
  return explained([...found], VARIABLES, "variable").map(([name]) => name!.replaceAll("`", ""));
}

/** What is there, in the order of its explanations; each has one, and none explains what is gone. */
function explained(found: readonly string[], by: Readonly<Record<string, string>>, kind: string): string[][] {
  const unknown = found.filter((name) => !(name in by));
  const gone = Object.keys(by).filter((name) => !found.includes(name));
  if (unknown.length + gone.length > 0)
    throw new Error(
      `docs/reference.ts: ${[...unknown.map((name) => `the ${kind} ${name} is not explained`), ...gone.map((name) => `there is no ${kind} ${name}`)].join(", ")}`,
    );
  return Object.entries(by).map(([name, meaning]) => [`\`${name}\``, meaning]);
}

/** Property → its doc comment, of an interface in config/index.ts. */
function docComments(name: string): Record<string, string> {
  const [, body = ""] =
    new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(read("config/index.ts")) ?? [];
  const found = body.matchAll(/\/\*\*([\s\S]*?)\*\/\s*readonly (\w+)/g);
  return Object.fromEntries(
    [...found].map(([, comment, key]) => [
      key!,
      comment!
        .replace(/\n\s*\*/g, "")
        .replace(/\s+/g, " ")
        .trim(),
    ]),
  );
}

function describe(type: Schema): string {
  if (type.enum) return type.enum.map((each) => `\`${each}\``).join(", ");
  if (type.type === "integer") return `whole number, ${type.minimum} to ${type.maximum}`;
  if (type.type === "number") return `number, ${type.minimum} to ${type.maximum}`;
  if (type.type === "boolean") return "`true`, `false`";
  if (type.type === "array") return "list";
  if (type.type === "object") return "mapping";
  return "text";
}

function isBlank(value: unknown): boolean {
  return value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

function keyTable(keys: readonly Key[]): string {
  return table(
    ["key", "type", "default", "meaning"],
    keys.map((key) => [`\`${key.name}\``, key.type, key.default, key.meaning]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellText).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What Markdown would take for a column or for HTML is neither. */
function cellText(text: string): string {
  const parts = text.replaceAll("|", "\\|").split("`");
  return parts.map((part, at) => (at % 2 === 0 ? part.replaceAll("<", "&lt;") : part)).join("`");
}

function read(path: string): string {
  return readFileSync(join(PROJECT, path), "utf8");
}
