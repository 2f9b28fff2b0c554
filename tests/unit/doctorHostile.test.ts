import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import fc from "fast-check";
import { isExamined, study } from "../../packages/doctor/examine";
import { guarded } from "../../packages/doctor/guard";
import { ignoreRules } from "../../packages/doctor/ignoreRules";
import { readRepository } from "../../packages/doctor/repository";
import { repositoryOf } from "../support/repositories";

/** A file of each kind that has a reader of its own. */
const KINDS = [
  "Dockerfile",
  "compose.yaml",
  ".github/workflows/a.yml",
  "action.yml",
  ".gitlab-ci.yml",
  ".circleci/config.yml",
  "Makefile",
  "justfile",
  "Taskfile.yml",
  "Jenkinsfile",
  "app.service",
  "package.json",
  "deploy.sh",
  "docker-bake.hcl",
  "docker-bake.json",
  "next.config.js",
  "vite.config.ts",
  "sw.js",
  "Caddyfile",
  "nginx.conf",
  "vercel.json",
  "_headers",
  ".htaccess",
  "netlify.toml",
  "server.js",
  "k8s.yaml",
  "values.yaml",
  "kustomization.yaml",
  "config/deploy.yml",
  "ansible/play.yml",
  "ngsw-config.json",
  ".dockerignore",
  ".doctor.yaml",
];
/** Two seconds, and room for a machine that does other things as well. */
const LIMIT_MS = 4_000;

/** One kind for each way to read: the others share theirs. */
const LARGE = new Set([
  "Dockerfile",
  "compose.yaml",
  "deploy.sh",
  "docker-bake.hcl",
  "nginx.conf",
  "server.js",
  "_headers",
]);
const SIZE = 200_000;
const SMALL = 5_000;
const many = (text: string) => text.repeat(Math.ceil(SIZE / text.length));
const BOMB = Array.from(
  { length: 40 },
  (_, at) => `a${at + 1}: &a${at + 1} {<<: [*a${at}, *a${at}], k: *a${at}}`,
);
const TEXTS: readonly [string, string][] = [
  ["200 KB of quotes", many('"')],
  ["quotes of both kinds", many("\"'")],
  ["empty lines", many("\n")],
  ["spaces", many(" ")],
  ["brackets", many("[")],
  ["braces", many("{")],
  ["substitutions", many("$(")],
  ["nested defaults", many("${A:-")],
  ["backslashes", many("\\")],
  ["heredocs", many("<<A ")],
  ["comments", many("/*")],
  [
    "aliases and merges",
    ["a0: &a0 {image: x, build: .}", ...BOMB, "services: {web: *a40}", "kind: x"].join("\n"),
  ],
  [
    "a mapping that holds itself",
    "services: &a\n  web: &b\n    <<: *a\n    extends: { service: web }\n    build: *b\n",
  ],
  ["variables that hold themselves", `FROM a\nENV A=x\n${"ENV A=$A$A$A\n".repeat(60)}COPY . /$A\n`],
  ["stages that need each other", "FROM a AS a\nCOPY --from=b . .\nFROM a AS b\nCOPY --from=a . .\n"],
  ["functions that call each other", "a() { b; b; b; }\nb() { c; c; c; }\nc() { a; a; a; }\na\n"],
  ["long patterns", `FROM a\nCOPY ${"**/".repeat(12)}x ${"*a".repeat(30)} /\n`],
  [
    "names of Object's own",
    '{"__proto__": {"a": 1}, "constructor": 1, "scripts": {"toString": "docker build ."}, "services": {"__proto__": {"image": "a"}}}',
  ],
];

describe("an untrusted file", () => {
  it.each(KINDS)("with %s is judged or listed in time", (path) => {
    for (const [, whole] of TEXTS) {
      const text = whole.length < SIZE || LARGE.has(path) ? whole : whole.slice(0, SMALL);
      const started = performance.now();
      const { findings, skipped } = study(repositoryOf({ [path]: text }));
      expect(performance.now() - started).toBeLessThan(LIMIT_MS);
      expect([findings, skipped]).toEqual([expect.any(Array), expect.any(Array)]);
    }
  });

  const words = fc.constantFrom(
    ..."FROM RUN COPY . ARG git pull docker compose build up -d || true && ; \n $ { } [ ] ( ) : - # ' \" ` \\ <<EOF EOF services image: ${A:-b} *a &a <<: if then fi case esac set -e location server { add_header Cache-Control target \t = , !".split(
      " ",
    ),
  );
  it.each(KINDS)("with %s never ends the program", (path) => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.array(words, { maxLength: 60 }).map((all) => all.join(" ")),
        ),
        (text) => {
          study(repositoryOf({ [path]: text }));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("that takes too long is skipped", () => {
    const outcome = guarded(() => {
      for (;;);
    }, 50);
    expect(outcome).toEqual({ problem: "it takes too long to read" });
  });

  it.each([many("["), "services:\n  web: [\n"])(
    "that cannot be read is listed, and the others are judged",
    (text) => {
      const { findings, skipped } = study(
        repositoryOf({ "compose.yaml": text, "deploy.sh": "git pull || true\ndocker compose build\n" }),
      );
      expect(skipped).toEqual([{ path: "compose.yaml", why: expect.any(String) }]);
      expect(findings.map(({ rule }) => rule)).toEqual(["pull-swallowed"]);
    },
  );

  it("that BuildKit cannot read is listed with its line", () => {
    expect(study(repositoryOf({ Dockerfile: "FROM a\nCOPIED . .\n" })).skipped).toEqual([
      { path: "Dockerfile", why: "line 2: COPIED is not a Dockerfile instruction" },
    ]);
  });
});

describe("patterns of .dockerignore", () => {
  it.each<[string, string, boolean]>([
    ["**/__pycache__", "a/b/__pycache__/x.pyc", true],
    ["__pycache__", "a/__pycache__/x.pyc", false],
    ["*.md\n!README.md", "README.md", false],
    ["*.md\n!README.md", "a.md", true],
    ["docs/**", "docs/a/b", true],
    ["docs/**", "docs", false],
    ["/dist/", "dist/a.js", true],
    ["**", "a/b", true],
    ["a/*/c", "a/b/c/d", true],
    ["a/*/c", "a/b/b/c", false],
    ["*\n!src", "src/a.ts", false],
    ["file[0-9].txt", "file7.txt", true],
    ["# x\n\n  x  ", "x/y", true],
  ])("%j of %s: %s", (text, path, expected) => {
    expect(ignoreRules(text).ignores(path)).toBe(expected);
  });

  it("take time linear in their length", () => {
    const started = performance.now();
    const path = `${"a/".repeat(200)}b`;
    expect(
      ignoreRules(`${"**/".repeat(12)}x\n${"**/a/".repeat(12)}x\n${"*a".repeat(40)}b`).ignores(path),
    ).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("an untrusted repository", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-hostile-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("runs none of its programs, whatever its git configuration says", async () => {
    const path = join(folder, "configured");
    mkdirSync(path);
    const git = (...args: string[]) => execa("git", args, { cwd: path });
    await git("init", "--quiet");
    const mark = join(folder, "ran");
    const program = join(path, "run.sh");
    writeFileSync(program, `#!/bin/sh\ntouch '${mark}'\n`, { mode: 0o755 });
    mkdirSync(join(path, "hooks"));
    writeFileSync(join(path, "hooks/post-index-change"), `#!/bin/sh\ntouch '${mark}'\n`, { mode: 0o755 });
    writeFileSync(join(path, "Dockerfile"), "FROM a\nCOPY . .\n");
    await git("add", ".");
    for (const [key, value] of [
      ["core.fsmonitor", program],
      ["core.hooksPath", join(path, "hooks")],
      ["core.pager", program],
      ["core.sshCommand", program],
      ["filter.x.clean", program],
      ["diff.external", program],
    ] as const)
      await git("config", key, value);
    writeFileSync(join(path, ".gitattributes"), "* filter=x\n");
    rmSync(mark, { force: true });
    const { files } = await readRepository(path, isExamined);
    expect(files).toContain("Dockerfile");
    expect(existsSync(mark)).toBe(false);
  });

  it("does not follow links to pipes, devices and files outside it", async () => {
    const path = join(folder, "links");
    mkdirSync(path);
    execFileSync("mkfifo", [join(path, "pipe")]);
    writeFileSync(join(folder, "secret.sh"), "git pull || true\ndocker compose build\n");
    for (const [link, target] of [
      ["Dockerfile", "pipe"],
      ["compose.yaml", "/dev/zero"],
      ["deploy.sh", "../secret.sh"],
      ["Makefile", "Makefile"],
      ["tool", "pipe"],
    ] as const)
      symlinkSync(target, join(path, link));
    writeFileSync(join(path, "big.sh"), "#".repeat(2 * 1024 * 1024));
    const started = performance.now();
    const repository = await readRepository(path, isExamined);
    expect(performance.now() - started).toBeLessThan(LIMIT_MS);
    expect(study(repository).findings).toEqual([]);
    expect(Object.fromEntries((repository.unread ?? []).map(({ path: file, why }) => [file, why]))).toEqual({
      Dockerfile: "it is not a regular file",
      "compose.yaml": "it is a link that leads out of the repository",
      "deploy.sh": "it is a link that leads out of the repository",
      Makefile: "it is a link to itself",
      "big.sh": "it is larger than 1 MiB",
    });
  });
});
