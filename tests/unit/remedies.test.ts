import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import execa from "execa";
import * as ts from "typescript";
import { cacheFindings } from "../../freshness/cache";
import { isBroken } from "../../freshness/chain";
import { dockerfileFindings, dockerfileVerdict } from "../../freshness/dockerfile";
import { dependencyFindings } from "../../freshness/dockerfile/dependencies";
import { carriesSource, readStages, targetStage } from "../../freshness/dockerfile/stages";
import { commandLine, NAMESPACE } from "../../freshness/project";

const PROJECT = resolve(__dirname, "..", "..");
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

/** What stands for a value in a text: the clone's namespace and commands, which the package names its own way; `…` for any other. */
function shown(value: ts.Expression): string[] {
  if (value.getText() === "NAMESPACE") return [NAMESPACE];
  const isCommand = ts.isCallExpression(value) && value.expression.getText() === "commandLine";
  const [line] = isCommand ? value.arguments : [];
  return line === undefined ? ["…"] : texts(line).map(commandLine);
}

/** The texts that an expression can be; a value in them is `…`. */
function texts(node: ts.Expression): string[] {
  if (ts.isParenthesizedExpression(node)) return texts(node.expression);
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isTemplateExpression(node))
    return node.templateSpans.reduce(
      (before, { expression, literal }) =>
        before.flatMap((text) => shown(expression).map((value) => text + value + literal.text)),
      [node.head.text],
    );
  if (ts.isConditionalExpression(node)) return [...texts(node.whenTrue), ...texts(node.whenFalse)];
  if (!ts.isBinaryExpression(node)) return [];
  const [left, right] = [texts(node.left), texts(node.right)];
  if (node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return [...left, ...right];
  return left.flatMap((one) => right.map((other) => one + other));
}

/** The remedies of a file: what a property, a constant or a function of that name is. */
function remediesOf(path: string): string[] {
  const found: string[] = [];
  const isRemedy = (name: string) => /[rR]emedy$|^REMEDY$|^REBUILD$/.test(name);
  const visit = (node: ts.Node, within: boolean) => {
    let inside = within;
    if ((ts.isPropertyAssignment(node) || ts.isVariableDeclaration(node)) && isRemedy(node.name.getText())) {
      if (node.initializer) found.push(...texts(node.initializer));
    } else if (ts.isFunctionDeclaration(node)) inside = isRemedy(node.name?.getText() ?? "");
    else if (within && ts.isReturnStatement(node) && node.expression) found.push(...texts(node.expression));
    ts.forEachChild(node, (child) => visit(child, inside));
  };
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true);
  ts.forEachChild(source, (child) => visit(child, false));
  return found.filter((text) => text !== "" && text !== "…");
}

/** As a cell of the table has it. */
const cell = (text: string) => text.replace(/\s+/g, " ").replaceAll("|", "\\|").trim();

describe("docs/remedies.md", () => {
  const rows = [...read("docs/remedies.md").matchAll(/^\| (.*) \| ([^|]*) \|$/gm)]
    .map(([, remedy = "", run = ""]) => ({ remedy, run }))
    .filter(({ run }) => run.startsWith("`tests/"));

  it("has each remedy of a message, with a test that applies it and then succeeds", async () => {
    const { stdout } = await execa(
      "git",
      ["ls-files", "freshness", "engine", "edge", "proof", "release", "components", "source"],
      {
        cwd: PROJECT,
      },
    );
    const paths = stdout
      .split("\n")
      .filter((path) => path.endsWith(".ts") && existsSync(join(PROJECT, path)));
    const named = new Set(paths.flatMap(remediesOf).map(cell));
    expect(named.size).toBeGreaterThan(40);
    const known = new Set(rows.map(({ remedy }) => remedy));
    // A remedy without a test, then rows of what nothing says any more.
    expect([...named].filter((remedy) => !known.has(remedy))).toEqual([]);
    expect([...known].filter((remedy) => !named.has(remedy))).toEqual([]);
  });

  it("names existing tests", () => {
    const wrong = rows.filter(({ run }) => {
      const [, path = "", title = ""] = /^`([^`]+)`, "(.*)"$/.exec(run) ?? [];
      return !existsSync(join(PROJECT, path)) || title === "" || !read(path).includes(title);
    });
    expect(wrong).toEqual([]);
  });
});

const COMMIT = ["ARG GIT_COMMIT_HASH", "RUN printf '%s' \"$GIT_COMMIT_HASH\" > /app/COMMIT"];
const GOOD = ["FROM debian:bookworm-slim", ...COMMIT, "COPY . ."];
const BUILDER = ["FROM debian:bookworm-slim AS builder", ...COMMIT, "WORKDIR /src", "COPY . ."];
const PINNED = `debian@sha256:${"1".repeat(64)}`;

/** Does as the remedy of a rule says, and judges again. */
describe("applying a remedy makes the rule pass", () => {
  const file = (lines: readonly string[]) => `${lines.join("\n")}\n`;
  const of = (lines: readonly string[]) => ({
    service: "web",
    path: "Dockerfile",
    dockerfile: file(lines),
    args: {},
    commitFile: "/app/COMMIT",
  });

  it.each<[string, string[], string[], RegExp, { target?: string }?]>([
    ["a line that cannot be read is corrected", [...GOOD, "COPPY x y"], GOOD, /Correct line/],
    [
      "a missing stage is named",
      GOOD,
      ["FROM debian:bookworm-slim AS api", ...GOOD.slice(1)],
      /Name the stage in .*FROM \.\.\. AS api/,
      { target: "api" },
    ],
    [
      "an image is named with its version",
      [...GOOD, "COPY --from=caddy:latest /usr/bin/caddy /x"],
      [...GOOD, "COPY --from=caddy:2.11 /usr/bin/caddy /x"],
      /Name the version of the image/,
    ],
    [
      "an image is named with its digest",
      [...GOOD, "COPY --from=caddy /usr/bin/caddy /x"],
      [...GOOD, `COPY --from=${PINNED} /usr/bin/caddy /x`],
      /or its digest/,
    ],
    [
      "a file of a URL is pinned",
      [...GOOD, "ADD https://example.org/a.js /a.js"],
      [...GOOD, `ADD --checksum=sha256:${"1".repeat(64)} https://example.org/a.js /a.js`],
      /pin it at line/,
    ],
    [
      "a clone is pinned",
      [...GOOD, "RUN git clone https://example.org/a.git /x"],
      [...GOOD, `RUN git clone https://example.org/a.git /x && git -C /x checkout ${"1".repeat(40)}`],
      /git checkout COMMIT/,
    ],
    ["--link is removed", [...GOOD.slice(0, -1), "COPY --link . ."], GOOD, /Remove --link/],
    [
      "the lines that let the commit reach a COPY are added before it",
      ["FROM debian:bookworm-slim", "COPY . ."],
      GOOD,
      /Add before line/,
    ],
    [
      "the part that swallows a failure is removed",
      [...GOOD, "RUN make || true"],
      [...GOOD, "RUN make"],
      /Remove "\|\| true"/,
    ],
  ])("%s", (_, before, after, remedy, more = {}) => {
    expect(dockerfileFindings({ ...of(before), ...more })[0]?.remedy).toMatch(remedy);
    expect(dockerfileFindings({ ...of(after), ...more })).toEqual([]);
  });

  it.each<[string, string[], string[], RegExp]>([
    [
      "the mounted files of a RUN are copied before it",
      [...GOOD, "RUN --mount=type=bind,source=src,target=/src cp /src/a.js /out"],
      [...GOOD, "COPY src /src", "RUN cp /src/a.js /out"],
      /Remove the mount from line 5 .*\nCOPY src \/src\n/,
    ],
    [
      "the commit file is copied at the end of the stage that lacks it",
      [...BUILDER, "FROM debian:bookworm-slim", "COPY --from=builder /src /srv"],
      [
        ...BUILDER,
        "FROM debian:bookworm-slim",
        "COPY --from=builder /src /srv",
        "COPY --from=builder /app/COMMIT /app/COMMIT",
      ],
      /Add at the end of that stage .*\nCOPY --from=builder \/app\/COMMIT \/app\/COMMIT\n/,
    ],
  ])("%s", (_, before, after, remedy) => {
    const broken = dockerfileVerdict(of(before));
    expect(isBroken(broken) ? broken.remedy : "").toMatch(remedy);
    expect(dockerfileVerdict(of(after)).status).toBe("proven");
  });

  it.each<[string, object, object, RegExp]>([
    ["an argument is removed", { args: { BUILDKIT_INLINE_CACHE: "1" } }, {}, /^Remove /],
    [
      "the line of an inline cache is removed",
      { dockerfile: file([...GOOD, "ENV BUILDKIT_INLINE_CACHE=1"]) },
      {},
      /Remove .* from line 5/,
    ],
    [
      "a cache mount is removed",
      { dockerfile: file([...GOOD, "RUN --mount=type=cache,target=/app/.next/cache make"]) },
      { dockerfile: file([...GOOD, "RUN make"]) },
      /Remove --mount=type=cache/,
    ],
    [
      "the earlier image in a compose file is removed",
      { compose: [{ path: "c.yml", text: "services:\n  web:\n    build:\n      cache_from: [a]\n" }] },
      { compose: [{ path: "c.yml", text: "services:\n  web:\n    build: .\n" }] },
      /Remove .* from line/,
    ],
    [
      "a compose file is corrected, and the line removed",
      { compose: [{ path: "c.yml", text: "services: [\n  cache_from: [a]\n" }] },
      { compose: [{ path: "c.yml", text: "services: []\n" }] },
      /Correct c\.yml/,
    ],
  ])("%s", (_, before, after, remedy) => {
    expect(cacheFindings({ ...of(GOOD), ...before })[0]?.remedy).toMatch(remedy);
    expect(cacheFindings({ ...of(GOOD), ...after })).toEqual([]);
  });

  it("an image that holds no source has a COPY of it", () => {
    const carries = (lines: readonly string[]) => {
      const stages = readStages(file(lines), {});
      return carriesSource(stages, targetStage(stages, undefined));
    };
    expect(carries(["FROM debian:bookworm-slim", ...COMMIT])).toBe(false);
    expect(carries(GOOD)).toBe(true);
  });

  const locked = ["FROM node:24 AS deps", "COPY package.json package-lock.json ./", "RUN npm ci"];
  const builder = ["FROM deps AS builder", ...COMMIT, "COPY . ."];
  it.each<[string, string[], RegExp]>([
    [
      "a stage is named",
      [locked[0]!.replace("deps", "other"), ...locked.slice(1)],
      /Name the stage that installs/,
    ],
    ["a stage holds only dependencies", [...locked, "COPY src ./src"], /Keep only dependencies/],
    ["the commit is declared in a later stage", [...locked, ...COMMIT], /in a later stage/],
    [
      "the lockfile is copied",
      [locked[0]!, "COPY package.json ./", "RUN npm install"],
      /Commit the lockfile and copy it/,
    ],
  ])("%s", (_, before, remedy) => {
    const files: Record<string, string> = { "package.json": "{}", "package-lock.json": "{}", "src/a.js": "" };
    const judge = (lines: readonly string[]) => {
      const all = { ...of([...lines, ...builder]), contextFiles: Object.keys(files) };
      const read = (path: string) => files[path] ?? "";
      return dependencyFindings(all, { stage: "deps", read });
    };
    expect(judge(before)[0]?.remedy).toMatch(remedy);
    expect(judge(locked)).toEqual([]);
  });
});
