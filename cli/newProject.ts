import { posix } from "node:path";
import { stringify } from "yaml";
import { PACKAGE } from "../freshness/package";
import type { Change } from "../packages/doctor/init/write/change";

/** What a new Pulumi project needs to know of the app and of this package. */
export interface NewProject {
  /** The app's name: the project's, and the namespace of its configuration. */
  readonly name: string;
  readonly stack: string;
  /** Path of the project's folder below the repository's; empty for the repository's own. */
  readonly folder: string;
  /** The configuration of the stack, without its namespace. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The package's version. */
  readonly version: string;
  /** `OWNER/NAME` of the GitHub repository with the reusable workflow. */
  readonly workflows: string;
  /** Files besides those of each project that git is not to track. */
  readonly ignored?: readonly string[];
  /** Content of a file of the repository; undefined if it does not exist. */
  readonly read: (path: string) => string | undefined;
}

/** The files that are to be written, and one line for each that says why. */
export interface ProjectPlan {
  readonly changes: readonly Change[];
  readonly why: readonly string[];
}

/** What a deploy leaves in the project's folder: packages, the state of a local backend, generated files. */
const IGNORED = ["node_modules/", ".state/", ".work/"];

/** The files that make an app's repository a Pulumi project of this package. Those that are right already are left out. */
export function projectFiles(of: NewProject): ProjectPlan {
  const at = (file: string) => posix.join(of.folder, file);
  const isModule = json(of.read(at("package.json"))).type === "module";
  const main = isModule ? "index.cjs" : "index.js";
  const proposals: readonly [path: string, why: string, content: string][] = [
    [at("Pulumi.yaml"), "the project; its name is the namespace of the configuration", pulumiYaml(of, main)],
    [at(`Pulumi.${of.stack}.yaml`), `the configuration of stack ${of.stack}`, stackYaml(of)],
    [at(main), "the program: an ordinary Pulumi program, with a place for resources of your own", PROGRAM],
    [at("package.json"), "the one dependency", packageJson(of, at("package.json"))],
    [".gitignore", "what a deploy leaves in the folder", gitignore(of)],
    [
      ".github/workflows/deploy.yml",
      "a push to the main branch deploys stack prod; a pull request gets a preview",
      workflow(of),
    ],
  ];
  // What the user has written stays; only lists that this package needs an entry in are added to.
  const wanted = proposals.filter(([path, , content]) => {
    const before = of.read(path);
    const isList = path.endsWith("package.json") || path === ".gitignore";
    return before === undefined || (isList && before !== content);
  });
  return {
    changes: wanted.map(([path, , after]) => ({ path, before: of.read(path), after })),
    why: wanted.map(([path, why]) => `${path}: ${why}`),
  };
}

const PROGRAM = `"use strict";
const { deploy } = require("${PACKAGE}");

// An ordinary Pulumi program: declare resources of your own here.

module.exports = deploy();
`;

function pulumiYaml({ name }: NewProject, main: string): string {
  return stringify({
    name,
    description: `Deploys ${name}; a deploy cannot succeed while stale code is served.`,
    main,
    runtime: { name: "nodejs", options: { typescript: false } },
  });
}

function stackYaml({ name, config }: NewProject): string {
  const entries = Object.entries(config).map(([key, value]) => [`${name}:${key}`, value]);
  // The CLI parses more words as numbers, dates and booleans than YAML 1.2 does: quote those.
  return stringify({ config: Object.fromEntries(entries) }, { version: "1.1" });
}

function packageJson({ name, version, read }: NewProject, path: string): string {
  const text = read(path);
  const before = json(text);
  const { dependencies = {}, devDependencies = {} } = before;
  if (text !== undefined && (PACKAGE in dependencies || PACKAGE in devDependencies)) return text;
  const start = text === undefined ? { name: `${name}-deploy`, private: true } : before;
  return `${JSON.stringify({ ...start, dependencies: { [PACKAGE]: version, ...dependencies } }, null, 2)}\n`;
}

function gitignore({ read, ignored = [] }: NewProject): string {
  const before = read(".gitignore") ?? "";
  const lines = before.split("\n").map((line) => line.trim().replace(/^\//, "").replace(/\/$/, ""));
  const wanted = [...IGNORED, ...ignored];
  const missing = wanted.filter((line) => !lines.includes(line.replace(/\/$/, "")));
  if (missing.length === 0) return before;
  const end = before === "" || before.endsWith("\n") ? before : `${before}\n`;
  return `${end}${missing.join("\n")}\n`;
}

function workflow({ folder, version, workflows }: NewProject): string {
  return `name: Deploy
on:
  push:
    branches: [main]
  pull_request:
  workflow_dispatch:

permissions: {}

jobs:
  # Needs Pulumi.prod.yaml with a server, and the secrets of docs/ci.md in the environments preview and prod.
  prod:
    uses: ${workflows}/.github/workflows/app.yml@v${version}
    permissions:
      contents: read
      pull-requests: write # the preview's comment
    with:
      stack: prod${folder === "" ? "" : `\n      folder: ${folder}`}
    secrets: inherit
`;
}

interface PackageJson {
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

function json(text: string | undefined): PackageJson {
  return text === undefined ? {} : (JSON.parse(text) as PackageJson);
}
