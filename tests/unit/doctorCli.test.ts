import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { examine, isExamined } from "../../doctor/examine";
import type { Diagnosis } from "../../doctor/finding";
import { readRepository } from "../../doctor/repository";

const PROJECT = join(__dirname, "../..");
const ORIGINAL = join(PROJECT, "tests/fixtures/original");

async function doctor(args: readonly string[], env: Record<string, string> = {}) {
  const words = ["-r", "@swc-node/register", "cli/doctor.ts", ...args];
  // Whatever engine runs here, none is asked.
  const docker = { DOCKER_HOST: "tcp://127.0.0.1:9" };
  const { exitCode, stdout, stderr } = await execa(process.execPath, words, {
    cwd: PROJECT,
    env: { INIT_CWD: PROJECT, ...docker, ...env },
    reject: false,
  });
  return { exitCode, stdout, stderr };
}

async function findings(folder: string): Promise<Diagnosis[]> {
  return examine(await readRepository(folder, isExamined));
}

/** `path:line rule`. */
const places = (all: readonly Diagnosis[]) => all.map(({ path, line, rule }) => `${path}:${line} ${rule}`);

describe("doctor PATH", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-doctor-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const write = (files: Readonly<Record<string, string>>, below = folder) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(below, path)), { recursive: true });
      writeFileSync(join(below, path), text);
    }
  };

  it("finds the causes in the files of the original system", async () => {
    expect(places(await findings(ORIGINAL))).toEqual([
      ".github/workflows/clear-caches.yml:17 clears-not-docker",
      "backend/Dockerfile:7 commit-not-in-copy",
      "docker-compose.yml:7 inline-cache",
      "docker-compose.yml:20 inline-cache",
      "frontend/Dockerfile:5 commit-not-in-copy",
      "scripts/clear-app-cache.sh:8 clears-not-docker",
      "scripts/deploy.sh:12 prune-keeps-tagged",
      "scripts/deploy.sh:12 prune-swallowed",
    ]);
  });

  it.each(["examples/watch-party", "tests/fixtures/app"])("finds nothing in %s", async (path) => {
    expect(places(await findings(join(PROJECT, path)))).toEqual([]);
  });

  it("says place, reason, what was found and the fix, and exits with 1", async () => {
    const { exitCode, stdout, stderr } = await doctor(["tests/fixtures/original"]);
    expect(stderr).toBe("");
    expect(stdout).toContain(
      "docker-compose.yml:7: error: BUILDKIT_INLINE_CACHE gives layers of an earlier build to this one [inline-cache]\n" +
        "  found: BUILDKIT_INLINE_CACHE\n  fix:   Remove BUILDKIT_INLINE_CACHE from line 7 of docker-compose.yml.\n",
    );
    expect(stdout).toMatch(/^5 errors, 3 warnings in \d+ files \(\d+\.\d s\)$/m);
    expect(exitCode).toBe(1);
  });

  it("prints JSON alone with --json, with no engine as null", async () => {
    const { exitCode, stdout } = await doctor([ORIGINAL, "--json"]);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(["path", "files", "findings", "seconds", "engine"]);
    expect(report).toMatchObject({ path: ORIGINAL, files: expect.any(Number), engine: null });
    expect(Object.keys(report.findings[0])).toEqual([
      "rule",
      "severity",
      "path",
      "line",
      "why",
      "found",
      "fix",
    ]);
    expect(exitCode).toBe(1);
  });

  it("says with --json what engine would build, and waits for none that is silent", async () => {
    const answers = [
      'case "$1" in',
      'version) echo "27.1.1 26.1.5" ;;',
      `info) echo ${folder} ;;`,
      'system) printf "Images\\t1GB\\nBuild Cache\\t2.5GB\\n" ;;',
      "*) exit 1 ;;",
      "esac",
    ];
    for (const [name, script] of [
      ["answering", answers.join("\n")],
      ["silent", "exec sleep 60"],
    ] as const) {
      const toolchain = join(folder, name);
      write({ "bin/docker": `#!/bin/sh\n${script}\n` }, toolchain);
      chmodSync(join(toolchain, "bin/docker"), 0o755);
      const started = performance.now();
      const { stdout } = await doctor([join(PROJECT, "examples/watch-party"), "--json"], {
        WATCH_PARTY_TOOLCHAIN: toolchain,
      });
      expect(performance.now() - started).toBeLessThan(10_000);
      const engine = {
        docker: join(toolchain, "bin/docker"),
        client: "27.1.1",
        server: "26.1.5",
        root: folder,
        freeBytes: expect.any(Number),
        buildCache: "2.5GB",
      };
      expect(JSON.parse(stdout).engine).toEqual(name === "answering" ? engine : null);
    }
  });

  it("exits with 0 where there are warnings alone", async () => {
    const path = join(folder, "warned");
    write({ "d.sh": "docker builder prune -f\n" }, path);
    const { exitCode, stdout } = await doctor([path]);
    expect(stdout).toContain("0 errors, 1 warning in 1 files");
    expect(exitCode).toBe(0);
  });

  it.each(["no/such/folder", "package.json"])("exits with 2 for %s", async (path) => {
    const { exitCode, stdout, stderr } = await doctor([path]);
    expect(stderr).toBe(`error: "${path}" is no folder; give the path of a repository`);
    expect([exitCode, stdout]).toEqual([2, ""]);
  });

  it("reads what git tracks or would take, and otherwise all but what others made", async () => {
    const stale = "git pull || true\ndocker compose build\n";
    const path = join(folder, "checkout");
    write(
      {
        "tracked.sh": stale,
        "untracked.sh": stale,
        "ignored.sh": stale,
        "node_modules/a/x.sh": stale,
        "venv/x.sh": stale,
        ".gitignore": "ignored.sh\n",
      },
      path,
    );
    const all = [
      "ignored.sh:1 pull-swallowed",
      "tracked.sh:1 pull-swallowed",
      "untracked.sh:1 pull-swallowed",
    ];
    expect(places(await findings(path))).toEqual(all);
    await execa("git", ["init", "--quiet"], { cwd: path });
    await execa("git", ["add", "tracked.sh"], { cwd: path });
    expect(places(await findings(path))).toEqual(all.slice(1));
  });

  it("takes less than 5 seconds for 10,000 files", async () => {
    const path = join(folder, "large");
    const dockerfile = "FROM a\nARG GIT_COMMIT_HASH\nRUN true\nCOPY . .\n";
    for (let package_ = 0; package_ < 100; package_++) {
      const files: [string, string][] = [
        ["Dockerfile", dockerfile],
        ["package.json", '{ "dependencies": { "next": "16" } }'],
        [".dockerignore", ".git\n.next\nnode_modules\n**/__pycache__\n"],
        ["deploy.sh", "set -e\ndocker builder prune -af\ndocker compose build\n"],
      ];
      for (let file = files.length; file < 100; file++)
        files.push([
          `src/${file % 10}/file${file}${file % 3 === 0 ? "" : ".ts"}`,
          `export const value = ${file};\n`,
        ]);
      write(Object.fromEntries(files), join(path, `packages/p${package_}`));
    }
    expect((await readRepository(path, () => false)).files).toHaveLength(10_000);
    for (const isCheckout of [false, true]) {
      if (isCheckout) await execa("git", ["init", "--quiet"], { cwd: path });
      // Its own work, without the start of Node and the compiler's.
      const started = performance.now();
      expect(places(await findings(path))).toEqual([]);
      expect(performance.now() - started).toBeLessThan(5_000);
    }
  });
});
