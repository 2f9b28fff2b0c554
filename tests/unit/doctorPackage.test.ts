import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";

const PACKAGE = join(__dirname, "../../packages/doctor");
/** Starts in less than 0.3 s on a quiet machine; measured as CPU time, which other processes do not change. */
const MOST_SECONDS = 0.6;

describe("the package of doctor", () => {
  const root = mkdtempSync(join(tmpdir(), "watch-party-doctor-package-"));
  const home = join(root, "home");
  const project = join(root, "project");
  const program = () => join(home, "node_modules/.bin/doctor");

  beforeAll(async () => {
    mkdirSync(home);
    mkdirSync(project);
    const { stdout } = await execa("npm", ["pack", "--json", "--pack-destination", root], { cwd: PACKAGE });
    const [packed] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [{ filename: string }];
    writeFileSync(join(home, "package.json"), "{}");
    const file = join(root, packed.filename.replace("@", "").replace("/", "-"));
    await execa("npm", ["install", "--offline", "--no-audit", "--no-fund", file], { cwd: home });
    writeFileSync(join(project, "Dockerfile"), "FROM node:24\nWORKDIR /app\nCOPY src ./src\n");
    writeFileSync(
      join(project, "compose.yaml"),
      "services:\n  web:\n    build: .\n    volumes: ['app:/app']\n",
    );
  }, 120_000);
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
    rmSync(join(PACKAGE, "dist"), { recursive: true, force: true });
  });

  it("needs no other package", () => {
    const { dependencies, bin, files } = JSON.parse(
      readFileSync(join(home, "node_modules/@watch-party/doctor/package.json"), "utf8"),
    );
    expect([dependencies, bin, files]).toEqual([undefined, { doctor: "dist/doctor.js" }, ["dist/doctor.js"]]);
  });

  it("checks the current folder from an empty folder's installation", async () => {
    const { exitCode, stdout } = await execa(program(), [], {
      cwd: project,
      env: { PATH: process.env.PATH ?? "", INIT_CWD: "" },
      extendEnv: false,
      reject: false,
    });
    expect(stdout).toContain("compose.yaml:4: error: web keeps its source in /app/src in a volume");
    expect(exitCode).toBe(1);
  });

  it("starts quickly", async () => {
    const { stdout } = await execa("bash", [
      "-c",
      `TIMEFORMAT='%U %S'; { time "$0" --version >/dev/null; } 2>&1`,
      program(),
    ]);
    const seconds = stdout
      .trim()
      .split(" ")
      .reduce((sum, part) => sum + Number(part), 0);
    expect(seconds).toBeLessThan(MOST_SECONDS);
  });
});
