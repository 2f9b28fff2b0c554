import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { leftovers } from "../support/stack";
import { Clone } from "./clone";

/** Commands that are called wrongly, or are to deploy what cannot be deployed: exit status 2, and nothing is touched. */
describe("a command with invalid input", () => {
  let clone: Clone;
  let app: TestApp;
  let elsewhere: string;
  const stack = `r${Math.random().toString(36).slice(2, 8)}`;

  beforeAll(async () => {
    clone = await Clone.create();
    app = await TestApp.create();
    elsewhere = mkdtempSync(join(tmpdir(), "watch-party-elsewhere-"));
  });
  afterAll(async () => {
    await clone?.remove([stack]);
    app?.remove();
    rmSync(elsewhere, { recursive: true, force: true });
  });

  const refused = async (args: readonly string[], script: "up" | "preview" | "pulumi" = "up") => {
    const said = await clone.run(script, args);
    expect(said.status).toBe(2);
    expect(said.stdout).toBe("");
    expect(clone.resources(stack)).toBeUndefined();
    expect(await leftovers(stack)).toEqual([]);
    return said;
  };

  it("reports that a source is not a git checkout, and writes no stack file for it", async () => {
    const { first } = await refused(["--source", elsewhere]);
    expect(first).toBe(
      `error: source ${elsewhere} is not inside a git checkout; deploy from a clone, or run "git init" and commit there`,
    );
    expect(await clone.changed()).toEqual([]);
  });

  it("reports a source that does not exist", async () => {
    const absent = join(elsewhere, "absent");
    const { first } = await refused(["--source", absent]);
    expect(first).toBe(`error: source ${absent} is not a folder; set watch-party:source to the app's folder`);
    expect(await clone.changed()).toEqual([]);
  });

  it("reports a source folder that gives no stack name", async () => {
    expect((await refused(["--source", "/"])).first).toContain("choose one with --stack");
  });

  it("refuses to deploy another app into a stack that has one", async () => {
    const { first } = await refused(["--stack", "dev", "--source", app.folder]);
    expect(first).toContain("examples/watch-party");
    expect(first).toContain("choose another stack with --stack");
  });

  it("reports a commit that does not exist and, in a shallow clone, the cause", async () => {
    clone.configure(stack, { source: app.folder, commit: "v9.9" });
    const full = await refused(["--stack", stack]);
    expect(full.first).toBe(
      'error: commit "v9.9" does not exist in this checkout; run "git fetch --all --tags", or set watch-party:commit to one that exists',
    );

    const earlier = await app.git("rev-parse", "HEAD");
    await app.commit({ "backend/message.txt": "hello\n" });
    const shallow = join(elsewhere, "shallow");
    await execa("git", ["clone", "--quiet", "--depth", "1", `file://${app.folder}`, shallow]);
    clone.configure(stack, { source: shallow, commit: earlier });
    const short = await refused(["--stack", stack]);
    expect(short.first).toContain(
      `commit "${earlier}" does not exist in this checkout; the clone is shallow`,
    );
    expect(short.first).toContain('run "git fetch --unshallow" (actions/checkout: fetch-depth: 0)');
  });

  it("names every service without a Dockerfile at once", async () => {
    const bare = join(elsewhere, "bare");
    for (const service of ["frontend", "backend"]) {
      mkdirSync(join(bare, service), { recursive: true });
      writeFileSync(join(bare, service, "README.md"), "no Dockerfile\n");
    }
    const git = (...args: string[]) =>
      execa("git", ["-c", "user.name=Test", "-c", "user.email=test@example.org", ...args], { cwd: bare });
    await git("init", "--quiet");
    await git("add", "--all");
    await git("commit", "--quiet", "-m", "bare");
    clone.configure(stack, { source: bare });
    for (const script of ["up", "preview"] as const) {
      const { first, stderr } = await refused(["--stack", stack], script);
      expect(first).toMatch(/^error: service frontend: no Dockerfile "frontend\/Dockerfile" in commit /);
      expect(stderr).toMatch(
        /^service backend: no Dockerfile "backend\/Dockerfile" in commit .*; add it and commit, or set /m,
      );
    }
  });

  it.each([
    ["up", []],
    ["preview", []],
    ["pulumi", ["up", "--yes"]],
    ["pulumi", ["preview"]],
  ] as const)("reports all configuration problems at once: %s %j", async (script, words) => {
    const args = [...words, "--stack", stack];
    clone.configure(stack, { source: app.folder, keepReleases: 0, listen: "8080", lisen: "127.0.0.1:80" });
    const { first, stderr } = await refused(args, script);
    expect(first).toBe("error: configuration: 3 problems");
    expect(stderr).toContain("watch-party:keepReleases is 0; allowed: a whole number from 1 to 1000\n");
    expect(stderr).toContain('watch-party:listen is "8080"; allowed: address:port, such as 127.0.0.1:8080\n');
    expect(stderr).toMatch(/watch-party:lisen is not a key; allowed: source, commit, /);
  });

  it("names the file that is not YAML", async () => {
    writeFileSync(clone.stackFile(stack), "config:\n  a: b: c\n");
    const { stderr } = await refused(["--stack", stack]);
    expect(stderr).toContain(`Pulumi.${stack}.yaml is not YAML: `);
  });

  it("lists the settings that a server lacks before a deploy", async () => {
    clone.configure(stack, {
      source: app.folder,
      server: { host: "192.0.2.1", user: "deploy" },
      allowStandIns: true,
    });
    const { first, stderr } = await refused(["--stack", stack]);
    expect(first).toBe("error: configuration: 2 problems");
    expect(stderr).toMatch(
      /watch-party:server\.hostKey is missing; allowed: .*"ssh-keyscan -p 22 192\.0\.2\.1"/,
    );
    expect(stderr).toContain(
      "watch-party:serverKey is missing; allowed: a private ssh key, set with --secret",
    );
  });

  it.each([
    [["--bogus"], "unknown option '--bogus'"],
    [["now"], "too many arguments"],
    [["--stack"], "option '--stack <name>' argument missing"],
    [["--stack", "../dev"], '"../dev" is not a stack name; allowed: letters, digits'],
  ])("rejects %j", async (args, words) => {
    expect((await refused(args)).first).toContain(`error: ${words}`);
  });

  it("leaves every tracked file unchanged", async () => {
    expect(await clone.changed()).toEqual([`?? ${basename(clone.stackFile(stack))}`]);
  });
});
