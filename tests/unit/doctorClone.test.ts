import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parse } from "yaml";
import { FULL } from "../support/matrix";

const PROJECT = join(__dirname, "../..");
const PRE_COMMIT = "pre-commit==4.3.0";
const SARIF_VALIDATOR = "@microsoft/sarif-multitool@5.7.0";

/** A clone of this repository as others get it, and a repository of theirs. */
describe("doctor from a clone of this repository", () => {
  const root = mkdtempSync(join(tmpdir(), "watch-party-doctor-clone-"));
  const clone = join(root, "clone");
  const theirs = join(root, "theirs");
  const git = (folder: string, ...args: readonly string[]) =>
    execa("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { cwd: folder });
  let commit: string;

  beforeAll(async () => {
    // Changes that are not committed yet are part of it.
    const { stdout: changed } = await git(PROJECT, "stash", "create");
    commit = changed === "" ? (await git(PROJECT, "rev-parse", "HEAD")).stdout : changed;
    await execa("git", ["clone", "--quiet", "--shared", "--no-checkout", PROJECT, clone]);
    await git(clone, "checkout", "--quiet", "--detach", commit);
    mkdirSync(join(theirs, "deploy"), { recursive: true });
    writeFileSync(join(theirs, "deploy/a b#.sh"), "git pull || true\ndocker compose build\n");
    writeFileSync(join(theirs, "fine.sh"), "set -e\ngit pull\ndocker compose build\n");
    await git(theirs, "init", "--quiet");
    await git(theirs, "add", "--all");
    await git(theirs, "commit", "--quiet", "--message", "theirs");
  }, 60_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  /** The packages are those that are here already. The full form installs them in the clone. */
  const withPackages = () => {
    if (!FULL && !existsSync(join(clone, "node_modules")))
      symlinkSync(join(PROJECT, "node_modules"), join(clone, "node_modules"));
    return { WATCH_PARTY_TOOLCHAIN: process.env.WATCH_PARTY_TOOLCHAIN ?? join(PROJECT, ".toolchain") };
  };

  it("declares a hook whose script is part of the clone and can be run", async () => {
    const [hook] = parse(readFileSync(join(clone, ".pre-commit-hooks.yaml"), "utf8"));
    expect(hook).toMatchObject({ id: "doctor", language: "script", require_serial: true });
    const { stdout } = await git(clone, "ls-files", "--stage", hook.entry);
    expect(stdout).toMatch(/^100755 /);
    // Which files matter is doctor's knowledge: a pattern here would leave some out.
    expect(hook.files).toBeUndefined();
  });

  it("judges as a hook the files that are committed, in the repository that commits them", async () => {
    const [hook] = parse(readFileSync(join(clone, ".pre-commit-hooks.yaml"), "utf8"));
    const run = (...files: readonly string[]) =>
      execa(join(clone, hook.entry), files, {
        cwd: theirs,
        env: { ...withPackages(), INIT_CWD: PROJECT },
        reject: false,
      });
    const stale = await run("fine.sh", "deploy/a b#.sh");
    // The first run of all tells that it installs packages.
    if (!FULL) expect(stale.stderr).toBe("");
    expect(stale.stdout).toContain("deploy/a b#.sh:1: error: where git pull fails");
    expect(stale.exitCode).toBe(1);
    expect((await run("fine.sh")).exitCode).toBe(0);
  }, 120_000);

  /** Runs the one step of the composite action as a runner does. */
  async function action(inputs: Readonly<Record<string, string>>, bin = "") {
    const folder = join(clone, ".github/actions/doctor");
    const declared = parse(readFileSync(join(folder, "action.yml"), "utf8"));
    const [step] = declared.runs.steps;
    const given: Record<string, string> = { ...inputs };
    for (const [name, { default: value }] of Object.entries<{ default?: string }>(declared.inputs))
      given[name] ??= value ?? "";
    const contexts: Readonly<Record<string, string>> = {
      "github.action_path": folder,
      "github.event.pull_request.head.sha || github.sha": commit,
      "github.ref": "refs/heads/main",
      "github.repository": "them/theirs",
      "github.token": "token",
    };
    const filled = (text: string): string =>
      text.replace(/\$\{\{ *(.*?) *\}\}/g, (_, name: string) =>
        name.startsWith("inputs.")
          ? filled(given[name.slice("inputs.".length)] ?? "")
          : (contexts[name] ?? ""),
      );
    const output = join(root, "output");
    writeFileSync(output, "");
    const env = Object.fromEntries(
      Object.entries<string>(step.env).map(([name, text]) => [name, filled(text)]),
    );
    const { exitCode, stdout, stderr } = await execa(step.shell, ["-e", "-c", step.run], {
      cwd: theirs,
      env: {
        ...env,
        ...withPackages(),
        GITHUB_OUTPUT: output,
        RUNNER_TEMP: root,
        PATH: `${bin}${bin && delimiter}${process.env.PATH}`,
      },
      reject: false,
    });
    const sarif = /^sarif=(.*)$/m.exec(readFileSync(output, "utf8"))?.[1];
    return { exitCode, stdout, stderr, sarif };
  }

  it("annotates as an action, fails the job at the level that is asked for, and leaves a SARIF file", async () => {
    const { exitCode, stdout, stderr, sarif } = await action({});
    expect(stderr).toBe("");
    expect(stdout).toContain("::error file=deploy/a b#.sh,line=1,title=FRESH009 pull-swallowed::");
    expect(exitCode).toBe(1);
    const [run] = JSON.parse(readFileSync(sarif ?? "", "utf8")).runs;
    expect(run.results[0].locations[0].physicalLocation.artifactLocation.uri).toBe("deploy/a%20b%23.sh");
    expect((await action({ paths: "\nfine.sh\n" })).exitCode).toBe(0);
  }, 180_000);

  it("uploads the findings to code scanning, also those that fail the job", async () => {
    const bin = join(root, "bin");
    mkdirSync(bin, { recursive: true });
    const sent = join(root, "sent");
    writeFileSync(join(bin, "gh"), `#!/bin/sh\nprintf '%s\\n' "$GH_TOKEN" "$@" > ${sent}\n`);
    chmodSync(join(bin, "gh"), 0o755);
    const { exitCode } = await action({ "code-scanning": "true" }, bin);
    expect(exitCode).toBe(1);
    const [token, ...words] = readFileSync(sent, "utf8").trim().split("\n");
    expect(token).toBe("token");
    expect(words.slice(0, 4)).toEqual(["api", "--method", "POST", "repos/them/theirs/code-scanning/sarifs"]);
    expect(words).toEqual(expect.arrayContaining([`commit_sha=${commit}`, "ref=refs/heads/main"]));
    const file = words.find((word) => word.startsWith("sarif=@"))?.slice("sarif=@".length) ?? "";
    const sarif = JSON.parse(gunzipSync(Buffer.from(readFileSync(file, "utf8"), "base64")).toString());
    expect(sarif.runs[0].results).toHaveLength(1);
  }, 180_000);

  if (FULL)
    it("is installed and run by pre-commit", async () => {
      await execa("python3", ["-m", "venv", join(root, "venv")]);
      await execa(join(root, "venv/bin/pip"), ["install", "--quiet", PRE_COMMIT]);
      await git(clone, "branch", "released", commit);
      const config = { repos: [{ repo: clone, rev: commit, hooks: [{ id: "doctor" }] }] };
      writeFileSync(join(theirs, ".pre-commit-config.yaml"), JSON.stringify(config));
      await git(theirs, "add", ".pre-commit-config.yaml");
      const run = () =>
        execa(join(root, "venv/bin/pre-commit"), ["run", "--all-files"], {
          cwd: theirs,
          env: { PRE_COMMIT_HOME: join(root, "pre-commit") },
          reject: false,
        });
      const stale = await run();
      expect(stale.stdout).toContain("deploy/a b#.sh:1: error: where git pull fails");
      expect(stale.exitCode).toBe(1);
      await git(theirs, "rm", "--quiet", "-r", "deploy");
      expect((await run()).exitCode).toBe(0);
      await git(theirs, "reset", "--quiet", "--hard");
    }, 900_000);

  if (FULL)
    it("writes SARIF that its validator accepts", async () => {
      const { sarif = "" } = await action({});
      await execa("npm", [
        "install",
        "--prefix",
        root,
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        SARIF_VALIDATOR,
      ]);
      const program = join(root, "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool");
      chmodSync(program, 0o755);
      const { stdout } = await execa(program, ["validate", sarif], { reject: false });
      expect(stdout).toContain("Analysis completed successfully");
      expect(stdout).not.toMatch(/: error /);
    }, 900_000);
});
