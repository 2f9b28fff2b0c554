import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parse, parseDocument } from "yaml";
import { configKeys, readCommands } from "../../docs/reference";
import { commandLine, NAMESPACE } from "../../freshness/project";

const PROJECT = resolve(__dirname, "..", "..");
const DOCUMENTS = [
  "README.md",
  "SECURITY.md",
  ...readdirSync(join(PROJECT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
/** Asked once: it takes seconds. */
let commands: ReturnType<typeof readCommands> | undefined;
/** A document without its code blocks. */
const prose = (document: string) => read(document).replace(/^ *```[\s\S]*?^ *```$/gm, "");

/** The lines of a document's shell blocks, without their comments. */
function typed(document: string): string[] {
  return [...read(document).matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)]
    .flatMap(([, block]) => block!.split("\n"))
    .map((line) => line.replace(/(^|\s+)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** The npm script that a line runs, and what stands behind `--`. */
function scriptOf(line: string): { script: string; args: string[] } | undefined {
  const [, script, rest = ""] = /\bnpm (?:run (?:-s )?)?([a-z][a-z:-]*)(.*)$/.exec(line) ?? [];
  const args = /^ -- (.*)$/.exec(rest)?.[1] ?? "";
  return script === undefined ? undefined : { script, args: args.split(/\s+/) };
}

describe.each(DOCUMENTS)("%s", (document) => {
  it("sets keys to values that the CLI accepts, which knows their types from Pulumi.yaml", () => {
    const { config } = parse(read("Pulumi.yaml")) as { config: Record<string, { type?: string }> };
    const blocks = [...read(document).matchAll(/^ *```yaml\n([\s\S]*?)^ *```$/gm)].map(
      ([, text = ""]) => text,
    );
    const set = blocks.flatMap((text) => {
      const { config: own = {}, ...rest } = (parseDocument(text).toJS() ?? {}) as Record<string, object>;
      return Object.entries({ ...rest, ...own });
    });
    const wrong = set.filter(([key, value]) => {
      const declared = config[key.replace(/^watch-party:/, "")]?.type;
      return key.startsWith("watch-party:") && declared !== undefined && typeof value === "object";
    });
    expect(wrong).toEqual([]);
  });

  it("names existing scripts and options", async () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    commands ??= readCommands();
    const known = await commands;
    const wrong = typed(document).flatMap((line) => {
      const called = scriptOf(line);
      if (!called) return [];
      const { script } = called;
      // What stands behind a second `--` is a program of the app's.
      const args = called.args.includes("--") ? called.args.slice(0, called.args.indexOf("--")) : called.args;
      if (!(script in scripts)) return [`${line}: no script ${script}`];
      const command = known.find((each) => each.script === script);
      if (!command) return [];
      const options = command.options.flatMap(({ flags }) => flags.match(/--[a-z-]+/g) ?? []);
      // What stands in brackets is how the command is used.
      const asked = args.map((arg) => arg.replace(/[[\]]/g, "")).filter((arg) => arg.startsWith("--"));
      return asked
        .filter((option) => !options.includes(option))
        .map((option) => `${line}: no option ${option}`);
    });
    expect(wrong).toEqual([]);
  });

  it("links to existing files", () => {
    const links = [...prose(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) =>
      link!.replace(/#.*/, ""),
    );
    const own = links.filter((link) => link !== "" && !/^[a-z]+:/.test(link));
    expect(own.filter((link) => !existsSync(join(PROJECT, dirname(document), link)))).toEqual([]);
  });

  it("names existing configuration keys", () => {
    const { keys, server, registry, services } = configKeys();
    const names = (of: readonly { name: string }[]) => of.map(({ name }) => name);
    const isKnown = (path: string) => {
      const [first = "", second, third] = path.split(".");
      if (!names(keys).includes(first)) return false;
      const parts: Record<string, typeof keys> = { server, registry };
      if (first in parts) return second === undefined || names(parts[first]!).includes(second);
      return first !== "services" || third === undefined || names(services).includes(third);
    };
    const named = [...read(document).matchAll(/(?<![\w/-])watch-party:([a-zA-Z][\w.]*)/g)];
    const set = typed(document)
      .map((line) => /config set (?:--\S+ )*([\w.]+)/.exec(line)?.[1])
      .filter((key) => key !== undefined);
    const paths = [...named.map(([, path]) => path!.replace(/\.$/, "")), ...set];
    expect(paths.filter((path) => !isKnown(path))).toEqual([]);
  });

  it("names existing files", async () => {
    const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
      cwd: PROJECT,
    });
    const tops = new Set(stdout.split("\n").map((path) => path.split("/")[0]!));
    const words = [...prose(document).matchAll(/`([^`\n]+)`/g)].map(([, word]) => word!);
    // A path begins with something of the project; others are of an app, an image or a server.
    const paths = words.filter(
      (word) => /^[\w.-]+(\/[\w.-]+)*\/?$/.test(word) && tops.has(word.split("/")[0]!),
    );
    const places = (path: string) =>
      [path, `${path}.ts`, `${path}.test.ts`].map((each) => join(PROJECT, each));
    expect(paths.filter((path) => !places(path).some((place) => existsSync(place)))).toEqual([]);
  });
});

it("docs/operations.md quotes errors as in the code", async () => {
  const { stdout } = await execa("git", ["ls-files", "*.ts"], { cwd: PROJECT });
  const code = stdout
    .split("\n")
    .filter((path) =>
      /^(cli|components|release|edge|proof|engine|freshness|source|toolchain|config|packages)\b/.test(path),
    )
    .map(read)
    .join("\n")
    // A message goes on over lines.
    .replace(/["'`] \+\s*["'`]/g, "")
    .replaceAll('\\"', '"')
    .replaceAll("${NAMESPACE}:", `${NAMESPACE}:`)
    .replace(/\$\{commandLine\((["`])(.*?)\1\)\}/g, (_, __, line: string) => commandLine(line));
  const [, errors = ""] = read("docs/operations.md").split("\n## Errors\n");
  const [ours = ""] = errors.split("\n### What the CLI");
  const rows = [...ours.matchAll(/^\|(.*)\|$/gm)]
    .map(([, row]) => row!.split(" | "))
    .filter((cells) => cells.length > 1);
  // The words stand before the remedy.
  const said = rows.flatMap((cells) => [...cells.at(-2)!.matchAll(/`([^`]+)`/g)].map(([, words]) => words!));
  expect(said.length).toBeGreaterThan(60);
  const parts = said
    .flatMap((words) => words.split("…"))
    .map((part) => part.trim().replace(/^, |[;:,]$/g, ""));
  expect(parts.filter((part) => part.length > 2 && !code.includes(part))).toEqual([]);
});

it("docs/architecture.md names functions in the files that define them", () => {
  const named = [
    ...read("docs/architecture.md").matchAll(/`(\w+)(?:\(\))?`(?:[^`|]*?)\bin `([\w/.]+\.ts)`/g),
  ];
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(([, name, path]) => !new RegExp(`\\b${name}\\b`).test(read(path!)))).toEqual([]);
});

describe("the reference", () => {
  it("has each command with what it declares", async () => {
    commands ??= readCommands();
    const restore = (await commands).find(({ script }) => script === "restore");
    expect(restore).toEqual({
      script: "restore",
      usage: "npm run restore -- [options] <name>",
      description: "Reads a backup back, after a backup of the present data.",
      options: [
        { flags: "name", meaning: "an accessory or a service" },
        { flags: "--stack <name>", meaning: 'the stack (default: "dev")' },
        { flags: "--from <backup>", meaning: 'which one, as `backups` lists it (default: "latest")' },
        { flags: "--no-backup", meaning: "take no backup of the present data" },
        { flags: "--yes", meaning: "confirm: the present data is overwritten" },
      ],
    });
  });

  it("has every key with its type, default and meaning", () => {
    const { keys, server, services } = configKeys();
    const find = (of: typeof keys, name: string) => of.find((key) => key.name === name);
    expect(find(keys, "buildCache")).toMatchObject({ type: "`prune`, `purge`", default: "`prune`" });
    expect(find(server, "host")).toMatchObject({ default: "**required**" });
    expect(find(services, "memoryMb")).toEqual({
      name: "memoryMb",
      type: "whole number, 6 to 1048576",
      default: "`1024`",
      meaning: "Memory limit in MiB, swap included.",
    });
  });

  it("is up to date", async () => {
    const check = ["--require", "@swc-node/register", "docs/generate.ts", "--check"];
    const { exitCode, stderr } = await execa(process.execPath, check, { cwd: PROJECT, reject: false });
    expect(`${exitCode} ${stderr}`).toBe("0 ");
  });
});
