import { describe, expect, it } from "@jest/globals";
import { tagOf } from "../../engine/baseImages";
import {
  baseImages,
  dependencyBuild,
  dependencyFindings,
  openRequirement,
} from "../../freshness/dockerfile/dependencies";
import { slowStep } from "../../release/releases";

const LOCKED = "package.json package-lock.json";
const BUILDER = [
  "FROM deps AS builder",
  "ARG GIT_COMMIT_HASH",
  "RUN echo $GIT_COMMIT_HASH > /app/COMMIT",
  "COPY . .",
];

function input(lines: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const all: Record<string, string> = {
    ...{ "package.json": "{}", "package-lock.json": "{}", "src/index.js": "", "requirements.txt": "a==1\n" },
    ...files,
  };
  return {
    ...{
      service: "web",
      path: "web/Dockerfile",
      dockerfile: `${lines.join("\n")}\n`,
      commitFile: "/app/COMMIT",
    },
    args: { NPM_TOKEN_FILE: "x", NODE_OPTIONS: "y", NODE_IMAGE: "node:24" },
    contextFiles: Object.keys(all),
    read: (path: string) => all[path] ?? "",
  };
}

function findings(lines: readonly string[], files?: Readonly<Record<string, string>>): string[] {
  const of = input(lines, files);
  return dependencyFindings(of, { stage: "deps", read: of.read }).map(
    ({ line, why, found }) => `${line}: ${why}; found ${found}`,
  );
}

describe("a stage that holds dependencies alone passes", () => {
  it.each<[string, string[], Record<string, string>?]>([
    ["a lockfile and npm ci", ["FROM node AS deps", `COPY ${LOCKED} ./`, "RUN npm ci"]],
    ["npm install with a lockfile", ["FROM node AS deps", `COPY ${LOCKED} ./`, "RUN npm install"]],
    ["a pattern", ["FROM node AS deps", "COPY package*.json ./", "RUN npm ci"]],
    [
      "bind mounts of manifests",
      [
        "FROM node AS deps",
        "RUN --mount=type=bind,source=package.json,target=package.json --mount=type=bind,source=package-lock.json,target=package-lock.json npm ci",
      ],
    ],
    [
      "system packages too",
      ["FROM node AS deps", "RUN apt-get install -y git", `COPY ${LOCKED} ./`, "RUN npm ci"],
    ],
    [
      "a base stage",
      ["FROM node AS base", "RUN corepack enable", "FROM base AS deps", `COPY ${LOCKED} ./`, "RUN npm ci"],
    ],
    [
      "pinned requirements",
      ["FROM python AS deps", "COPY requirements.txt .", "RUN pip install -r requirements.txt"],
    ],
    [
      "a package manager without a version",
      [
        "FROM python AS deps",
        "COPY requirements.txt .",
        "RUN pip install -U pip && pip install -r requirements.txt",
      ],
    ],
    [
      "a pinned name",
      [
        "FROM python AS deps",
        "COPY requirements.txt .",
        "RUN pip install gunicorn==23.0.0 -r requirements.txt",
      ],
    ],
    [
      "pyproject and uv.lock",
      ["FROM python AS deps", "COPY pyproject.toml uv.lock ./", "RUN uv sync"],
      { "pyproject.toml": "", "uv.lock": "" },
    ],
    [
      "go.mod that requires nothing",
      ["FROM golang AS deps", "COPY go.mod ./", "RUN go mod download"],
      { "go.mod": "module a\n" },
    ],
  ])("%s", (_, stage, files = {}) => expect(findings([...stage, ...BUILDER], files)).toEqual([]));
});

describe("a stage that cannot be kept through the prune", () => {
  it.each<[string, string[], string, Record<string, string>?]>([
    [
      "source",
      ["FROM node AS deps", `COPY ${LOCKED} src ./`, "RUN npm ci"],
      '2: COPY brings source into dependency stage "deps"',
    ],
    ["all of the context", ["FROM node AS deps", "COPY . .", "RUN npm ci"], "2: COPY brings source"],
    [
      "the context mounted",
      ["FROM node AS deps", "RUN --mount=type=bind,target=/src npm ci"],
      "2: RUN brings source",
    ],
    [
      "source in the stage that it begins with",
      ["FROM node AS base", "COPY src .", "FROM base AS deps", `COPY ${LOCKED} ./`],
      "2: COPY brings source",
    ],
    [
      "the commit",
      ["FROM node AS deps", "ARG GIT_COMMIT_HASH", `COPY ${LOCKED} ./`, "RUN npm ci"],
      '4: dependency stage "deps" depends on the commit',
    ],
    [
      "a manifest without its lockfile",
      ["FROM node AS deps", "COPY package.json ./", "RUN npm install"],
      '1: dependency stage "deps" installs versions that the commit does not pin: package.json without its lockfile',
    ],
    ["no manifest at all", ["FROM python AS deps", "RUN apt-get install -y ffmpeg"], "it copies no lockfile"],
    [
      "names only",
      ["FROM python AS deps", "RUN pip install fastapi"],
      '2: dependency stage "deps" installs versions that the commit does not pin: "pip install fastapi"',
    ],
    [
      "a name besides the lockfile",
      ["FROM python AS deps", "COPY requirements.txt .", "RUN pip install -r requirements.txt gunicorn"],
      '"pip install gunicorn"',
    ],
    [
      "python -m pip",
      ["FROM python AS deps", "COPY requirements.txt .", "RUN python3 -m pip install 'gunicorn>=20'"],
      '"pip install gunicorn>=20"',
    ],
    [
      "npm install of a name",
      ["FROM node AS deps", `COPY ${LOCKED} ./`, "RUN npm ci && npm install sharp"],
      '"npm install sharp"',
    ],
    [
      "an open requirement",
      ["FROM python AS deps", "COPY requirements.txt .", "RUN pip install -r requirements.txt"],
      '"fastapi>=0.1" in requirements.txt',
      { "requirements.txt": "uvicorn==1.0\nfastapi>=0.1\n" },
    ],
    [
      "go.mod without go.sum",
      ["FROM golang AS deps", "COPY go.mod ./", "RUN go mod download"],
      "go.mod without go.sum",
      { "go.mod": "module a\nrequire b v1.0.0\n" },
    ],
    [
      "only pyproject",
      ["FROM python AS deps", "COPY pyproject.toml .", "RUN pip install ."],
      "pyproject.toml without its lockfile",
      { "pyproject.toml": "" },
    ],
  ])("%s", (_, stage, expected, files = {}) =>
    expect(findings([...stage, ...BUILDER], files)).toEqual([expect.stringContaining(expected)]),
  );

  it("a missing stage", () =>
    expect(findings(["FROM node AS install", "COPY . ."])).toEqual([
      expect.stringContaining(
        'there is no stage "deps", which watch-party:services.web.dependencyStage names; found install',
      ),
    ]));
});

describe("the inputs of a dependency image", () => {
  const dockerfile = [
    "# syntax=docker/dockerfile:1",
    "ARG NODE_IMAGE=node",
    "FROM ${NODE_IMAGE} AS deps",
    "ARG NPM_TOKEN_FILE",
    "COPY package*.json ./",
    "RUN npm ci",
    "",
    "# The sources.",
    ...BUILDER,
  ];

  it("are the Dockerfile up to the stage's end, its args and the files that it copies", () =>
    expect(dependencyBuild(input(dockerfile), "deps")).toEqual({
      dockerfile: `${dockerfile.slice(0, 6).join("\n")}\n`,
      args: { NPM_TOKEN_FILE: "x", NODE_IMAGE: "node:24" },
      files: ["package.json", "package-lock.json"],
    }));

  it("exclude files of .dockerignore", () => {
    const ignoring = { ...input(dockerfile), dockerignore: "package.json" };
    expect(dependencyBuild(ignoring, "deps").files).toEqual(["package-lock.json"]);
  });
});

it.each<[string[], string | undefined, string[]]>([
  [["FROM node:24 AS a", "RUN x", "FROM debian AS b", "RUN y"], undefined, ["debian"]],
  [
    ["FROM node:24 AS a", "RUN x", "FROM debian AS b", "COPY --from=a /x /x"],
    undefined,
    ["debian", "node:24"],
  ],
  [["FROM node:24 AS a", "RUN x", "FROM debian AS b", "COPY --from=a /x /x"], "a", ["node:24"]],
  [["ARG NODE_IMAGE=node", "FROM $NODE_IMAGE AS a", "FROM a AS b", "RUN x"], undefined, ["node:24"]],
  [["FROM scratch", "COPY . ."], undefined, []],
  [["FROM debian"], undefined, ["debian"]],
  [[`FROM node@sha256:${"0".repeat(64)}`, "RUN x"], undefined, []],
])("the base images of %j for target %j", (lines, target, images) =>
  expect(baseImages(`${lines.join("\n")}\n`, { NODE_IMAGE: "node:24" }, target).sort()).toEqual(images),
);

it.each([
  ["a==1.0\nb[x,y]===2 ; python_version > '3'\n", undefined],
  ["# nothing\n-r other.txt\n--index-url https://example.org\n", undefined],
  ["a==1.0 \\\n    --hash=sha256:abc\n", undefined],
  ["a @ https://example.org/a.whl#sha256=abc\n", undefined],
  ["a\n", "a"],
  ["a==1.*\n", "a==1.*"],
  ["a>=1\n", "a>=1"],
  ["-e .\n", "-e ."],
  ["git+https://example.org/a.git\n", "git+https://example.org/a.git"],
])("the first open line of %j is %j", (text, open) => expect(openRequirement(text)).toBe(open));

it.each([
  ["node", "node:latest"],
  ["docker.io/library/node:24", "node:24"],
  ["registry.example.org:5000/a", "registry.example.org:5000/a:latest"],
  ["caddy:2.11", "caddy:2.11"],
])("the engine lists %s as %s", (name, tag) => expect(tagOf(name)).toBe(tag));

describe("a deploy much slower than the stack's own median", () => {
  const took = (images: number, proof: number) => ({ seconds: images + proof, steps: { images, proof } });
  const before = [took(10, 1), took(12, 1), took(11, 2)];

  it("is reported with the slow step", () =>
    expect(slowStep(took(11, 20), before)).toBe(
      "this deploy took 31.0 s, 13.0 s is this stack's median; step proof took 20.0 s, usually 1.0 s",
    ));

  it.each([
    ["as long as ever", took(12, 2), before],
    ["an insignificant number of seconds", took(4, 1), [took(1, 1), took(1, 1), took(1, 1)]],
    ["too few to compare with", took(50, 1), before.slice(1)],
    ["records without steps", took(50, 1), before.map(({ seconds }) => ({ seconds }))],
  ])("is not %s", (_, now, others) => expect(slowStep(now, others)).toBeUndefined());
});
