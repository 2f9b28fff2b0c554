import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseConfig } from "../../config";
import { readRepository } from "../../packages/doctor/repository";
import { resolveCheckout } from "../../source/checkout";
import { git, gitWith, overrides } from "../../source/git";
import { prepareSource } from "../../source/prepare";
import { readNamed } from "../../source/upstream";
import { TestApp } from "../support/app";
import { withVariables } from "../support/variables";

const PROJECT = resolve(__dirname, "..", "..");
const root = mkdtempSync(join(tmpdir(), "watch-party-git-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const config = (source: string, more: Record<string, unknown> = {}) =>
  parseConfig({ source, services: { backend: {} }, ...more });
let counter = 0;
const contexts = () => join(root, `contexts-${counter++}`);

describe("a clone whose configuration names programs", () => {
  let app: TestApp;
  let trap: string;
  let marker: string;

  beforeAll(() => {
    marker = join(root, "ran");
    trap = join(root, "trap");
    writeFileSync(trap, `#!/bin/sh\necho "$0 $*" >> ${marker}\nexit 1\n`);
    chmodSync(trap, 0o755);
  });
  beforeEach(async () => {
    app = await TestApp.create();
    rmSync(marker, { force: true });
  });
  afterEach(() => app.remove());
  const everything = async () => {
    const { checkout } = await prepareSource(config(app.folder), contexts());
    await readNamed(checkout, {});
    await readRepository(app.folder, () => true);
    writeFileSync(join(app.folder, "backend", "stray.txt"), "stray");
    await prepareSource(config(app.folder, { uncommitted: "include" }), contexts());
  };

  it.each([
    ["core.fsmonitor", ""],
    ["core.sshCommand", "ssh://git@127.0.0.1:1/app.git"],
    ["core.gitProxy", "git://127.0.0.1:1/app.git"],
    ["credential.helper", "http://127.0.0.1:1/app.git"],
    ["credential.http://127.0.0.1:1.helper", "http://127.0.0.1:1/app.git"],
    ["remote.origin.uploadpack", ""],
    ["remote.origin.vcs", "x"],
    ["diff.external", ""],
    ["core.alternateRefsCommand", ""],
    ["core.pager", ""],
    ["gpg.program", ""],
  ])("does not have %s run", async (key, url) => {
    await app.git("remote", "add", "origin", url || app.folder);
    await app.git("config", "branch.main.remote", "origin");
    await app.git("config", "branch.main.merge", "refs/heads/main");
    await app.git("config", "log.showSignature", "true");
    await app.git("config", key, trap);
    await everything();
    expect(existsSync(marker)).toBe(false);
  });

  it("does not have an upstream's own transport, a hook or an included file's program run", async () => {
    await app.git("remote", "add", "origin", `ext::${trap} %S`);
    await app.git("config", "protocol.ext.allow", "always");
    await app.git("config", "branch.main.remote", "origin");
    await app.git("config", "branch.main.merge", "refs/heads/main");
    const included = join(root, "included");
    writeFileSync(included, `[core]\n\tfsmonitor = ${trap}\n[filter "own"]\n\tclean = ${trap}\n`);
    await app.git("config", "include.path", included);
    for (const hook of ["post-index-change", "reference-transaction", "post-checkout"])
      writeFileSync(join(app.folder, ".git", "hooks", hook), readFileSync(trap), { mode: 0o755 });
    await everything();
    expect(existsSync(marker)).toBe(false);
  });

  it("does not have a filter run, neither of its own nor of a submodule", async () => {
    const part = await TestApp.create();
    await app.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", part.folder, "part");
    await app.commit({ ".gitattributes": "*.txt filter=own\n" });
    for (const folder of [".", "part"]) {
      await app.git("-C", folder, "config", "filter.own.clean", trap);
      await app.git("-C", folder, "config", "filter.own.process", trap);
      await app.git("-C", folder, "config", "filter.own.required", "true");
      await app.git("-C", folder, "config", "core.fsmonitor", trap);
    }
    writeFileSync(join(app.folder, "backend", "message.txt"), "another\n");
    writeFileSync(join(app.folder, "part", "backend", "message.txt"), "another\n");
    await expect(resolveCheckout(config(app.folder))).rejects.toThrow(
      / M backend\/message\.txt, {2}M part \(its own files\)/,
    );
    part.remove();
    expect(existsSync(marker)).toBe(false);
  });

  it("distinguishes a touched Git LFS file from a changed one without running a filter", async () => {
    const content = "a large content\n";
    const oid = createHash("sha256").update(content).digest("hex");
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
    const name = join(app.folder, "backend", "clip.bin");
    await app.commit({ ".gitattributes": "*.bin filter=lfs -text\n", "backend/clip.bin": pointer });
    await app.git("config", "filter.lfs.clean", trap);
    await app.git("config", "filter.lfs.process", trap);
    await app.git("config", "filter.lfs.required", "true");
    writeFileSync(name, content);
    const { contexts: made } = await prepareSource(config(app.folder), contexts());
    expect(readFileSync(join(await made.backend!, "clip.bin"), "utf8")).toBe(content);
    writeFileSync(join(app.folder, "backend", "stray.txt"), "stray");
    const included = config(app.folder, { uncommitted: "include" });
    const { contexts: again, checkout } = await prepareSource(included, contexts());
    expect(readFileSync(join(await again.backend!, "clip.bin"), "utf8")).toBe(content);
    expect(await app.git("show", `${checkout.tree}:backend/clip.bin`)).toBe(pointer.trim());
    writeFileSync(name, "another content\n");
    await expect(resolveCheckout(config(app.folder))).rejects.toThrow(/ M backend\/clip\.bin/);
    expect(existsSync(marker)).toBe(false);
  });

  it("is not searched in an embedded bare repository", async () => {
    const inside = join(app.folder, "backend", "bare");
    await execa("git", ["clone", "--quiet", "--bare", app.folder, inside]);
    await execa("git", ["-C", inside, "config", "core.bare", "false"]);
    await execa("git", ["-C", inside, "config", "core.worktree", ".."]);
    await execa("git", ["-C", inside, "config", "core.fsmonitor", trap]);
    await expect(resolveCheckout(config(inside))).rejects.toThrow(/bare repository/);
    await readRepository(inside, () => true);
    expect(existsSync(marker)).toBe(false);
  });

  it("does not have the hooks of its configuration run", () => {
    const settings = [
      { scope: "local", key: "hook.own.event", value: "post-index-change" },
      { scope: "local", key: "hook.own.command", value: "evil" },
      { scope: "global", key: "hook.user.command", value: "good" },
    ];
    expect(overrides(settings, false)).toEqual([
      ["hook.own.command", "true"],
      ["hook.own.enabled", "false"],
    ]);
  });

  it("keeps the user's own credential helpers and ssh command", () => {
    const settings = [
      { scope: "global", key: "credential.helper", value: "store" },
      { scope: "global", key: "core.sshcommand", value: "ssh -4" },
      { scope: "local", key: "credential.helper", value: "evil" },
      { scope: "local", key: "core.sshcommand", value: "evil" },
    ];
    expect(overrides(settings, false)).toEqual([
      ["credential.helper", ""],
      ["credential.helper", "store"],
      ["core.sshCommand", "ssh -4"],
    ]);
  });
});

describe("git's environment", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await TestApp.create();
  });
  afterAll(() => app?.remove());

  it("has none of the variables that a hook gets, nor a secret", async () => {
    const { stdout } = await execa("git", ["rev-parse", "--local-env-vars"]);
    const other = await TestApp.create();
    const set = Object.fromEntries(stdout.split("\n").map((name) => [name, other.folder]));
    const variables = {
      ...set,
      GIT_DIR: ".",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "core.worktree",
      GIT_CONFIG_VALUE_0: other.folder,
      GIT_CONFIG_PARAMETERS: `'core.worktree=${other.folder}'`,
      GIT_CONFIG_GLOBAL: join(other.folder, "none"),
      GIT_NAMESPACE: "other",
      PULUMI_CONFIG: "secret",
    };
    await withVariables(variables, async () => {
      const { checkout } = await prepareSource(config(app.folder), contexts());
      expect(checkout.root).toBe(app.folder);
      expect(checkout.commit).toBe(await git(app.folder, ["rev-parse", "HEAD"]).then((said) => said.trim()));
      const said = await gitWith(app.folder, ["-c", "alias.show-env=!env", "show-env"]);
      expect(said).not.toContain("PULUMI_CONFIG");
      expect(said).not.toContain(other.folder);
      expect(said).not.toContain("GIT_NAMESPACE");
    });
    other.remove();
  });

  it("is set in one file: no other part of the program starts git", () => {
    const folders = [
      "cli",
      "components",
      "config",
      "docs",
      "edge",
      "engine",
      "freshness",
      "packages",
      "proof",
      "release",
      "source",
      "toolchain",
    ];
    const files = folders.flatMap((folder) => sources(join(PROJECT, folder)));
    const starts = [...files, join(PROJECT, "index.ts")].filter((file) =>
      /from "simple-git"|(spawn|exec\w*|execa(\.sync)?|run|tryRun)\(\s*["']git["']/.test(
        readFileSync(file, "utf8"),
      ),
    );
    expect(starts.map((file) => relative(PROJECT, file))).toEqual(["source/git.ts"]);
  });
});

describe("a child process of the program", () => {
  it("gets only the variables that it needs", () => {
    const folders = ["components", "edge", "engine", "packages/doctor", "proof", "release", "source"];
    const starts = folders
      .flatMap((folder) => sources(join(PROJECT, folder)))
      .flatMap((file) => {
        const text = readFileSync(file, "utf8");
        return [...text.matchAll(/(?<![.\w])(?:execa(?:\.sync)?|spawn|execFile)\(/g)].map(({ index }) => ({
          place: `${relative(PROJECT, file)}:${text.slice(0, index).split("\n").length}`,
          call: callAt(text, index),
        }));
      });
    expect(starts.length).toBeGreaterThan(15);
    const isBare = (call: string) =>
      /childEnvironment\(|withOwnEnvironment\(|env: variables\(|, options, /.test(call);
    expect(starts.filter(({ call }) => !isBare(call)).map(({ place }) => place)).toEqual([]);
    // execa adds this process's environment unless told otherwise.
    const adds = ({ call }: { call: string }) =>
      /^execa/.test(call) && !/extendEnv: false|withOwnEnvironment\(/.test(call);
    expect(starts.filter(adds).map(({ place }) => place)).toEqual([]);
  });
});

/** The text of a call, from its name to its closing bracket. */
function callAt(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "(") depth++;
    if (text[at] === ")" && --depth === 0) return text.slice(start, at + 1);
  }
  return text.slice(start);
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}
