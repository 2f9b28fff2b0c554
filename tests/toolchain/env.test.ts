import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { toolchainEnv } from "../../toolchain/env";
import type { Paths } from "../../toolchain/paths";
import { type State, writeState } from "../../toolchain/state";

describe("toolchainEnv", () => {
  let root: string;
  let at: Paths;
  let home: string;
  const env = (base: NodeJS.ProcessEnv = {}) => toolchainEnv({ PATH: "/usr/bin", ...base }, at, home);
  const logIn = (folder: string, current: string) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "credentials.json"), JSON.stringify({ current }));
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "toolchain-env-"));
    const toolchain = join(root, "toolchain");
    const project = join(root, "project");
    home = join(root, "home");
    mkdirSync(project);
    at = {
      project,
      code: project,
      root: project,
      toolchain,
      bin: join(toolchain, "bin"),
      tmp: join(toolchain, "tmp"),
      state: join(project, ".state"),
    };
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("puts the toolchain first on PATH, once", () => {
    expect(env().PATH).toBe(`${at.bin}:/usr/bin`);
    expect(env({ PATH: env().PATH }).PATH).toBe(`${at.bin}:/usr/bin`);
  });

  it("keeps state in the project, with a generated passphrase, if the user has no backend", () => {
    const first = env();
    expect(first.PULUMI_BACKEND_URL).toBe(`file://${at.state}`);
    const file = first.PULUMI_CONFIG_PASSPHRASE_FILE ?? "";
    const passphrase = readFileSync(file, "utf8");
    expect(Buffer.from(passphrase, "base64")).toHaveLength(32);
    expect(passphrase).not.toMatch(/\s/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(at.state).mode & 0o777).toBe(0o700);
    expect(env().PULUMI_CONFIG_PASSPHRASE_FILE).toBe(file);
    expect(readFileSync(file, "utf8")).toBe(passphrase);
  });

  it.each([
    ["a backend", { PULUMI_BACKEND_URL: "s3://bucket" }],
    ["an access token", { PULUMI_ACCESS_TOKEN: "pul-x" }],
  ])("keeps the user's %s", (_, base) => {
    expect(env(base).PULUMI_BACKEND_URL).toBe((base as NodeJS.ProcessEnv).PULUMI_BACKEND_URL);
    expect(env(base).PULUMI_CONFIG_PASSPHRASE_FILE).toBeUndefined();
    expect(() => statSync(at.state)).toThrow();
  });

  it("uses the user's login, though PULUMI_HOME is the project's", () => {
    logIn(join(home, ".pulumi"), "https://api.pulumi.com");
    expect(env().PULUMI_BACKEND_URL).toBeUndefined();
    expect(env().PULUMI_CREDENTIALS_PATH).toBe(join(home, ".pulumi"));
    expect(env().PULUMI_HOME).toBe(join(at.toolchain, "pulumi"));
  });

  it("treats a credentials file without a current login as no login", () => {
    logIn(join(home, ".pulumi"), "");
    expect(env().PULUMI_BACKEND_URL).toBe(`file://${at.state}`);
    expect(env().PULUMI_CREDENTIALS_PATH).toBe(join(home, ".pulumi"));
  });

  it("keeps the user's PULUMI_HOME and PULUMI_CREDENTIALS_PATH, and finds the login there", () => {
    logIn(join(root, "elsewhere"), "s3://bucket");
    expect(env({ PULUMI_HOME: join(root, "elsewhere") }).PULUMI_HOME).toBe(join(root, "elsewhere"));
    expect(env({ PULUMI_HOME: join(root, "elsewhere") }).PULUMI_BACKEND_URL).toBeUndefined();
    const credentials = { PULUMI_CREDENTIALS_PATH: join(root, "elsewhere") };
    expect(env(credentials).PULUMI_CREDENTIALS_PATH).toBe(join(root, "elsewhere"));
    expect(env(credentials).PULUMI_BACKEND_URL).toBeUndefined();
  });

  it("respects a backend that Pulumi.yaml names", () => {
    writeFileSync(join(at.project, "Pulumi.yaml"), "name: x\nbackend:\n  url: s3://bucket\n");
    expect(env().PULUMI_BACKEND_URL).toBeUndefined();
  });

  it.each([
    [{ PULUMI_CONFIG_PASSPHRASE: "mine" }],
    [{ PULUMI_CONFIG_PASSPHRASE: "" }],
    [{ PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" }],
  ])("keeps the user's passphrase %p", (base: NodeJS.ProcessEnv) => {
    expect(env(base).PULUMI_BACKEND_URL).toBe(`file://${at.state}`);
    expect(env(base).PULUMI_CONFIG_PASSPHRASE).toBe(base.PULUMI_CONFIG_PASSPHRASE);
    expect(env(base).PULUMI_CONFIG_PASSPHRASE_FILE).toBe(base.PULUMI_CONFIG_PASSPHRASE_FILE);
  });

  it.each([
    ["official", false, undefined, undefined],
    ["stand-in", true, "true", "1"],
  ] as const)("with %s plugins and buildKitByEnv %p", (origin, buildKitByEnv, noDownloads, buildKit) => {
    const part = { version: "1", where: "/x", origin };
    const state: State = {
      wanted: "",
      pulumi: part,
      languageHost: part,
      plugins: { docker: part },
      docker: { ...part, buildKitByEnv },
    };
    writeState(state, at);
    expect(env().PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION).toBe(noDownloads);
    expect(env().DOCKER_BUILDKIT).toBe(buildKit);
  });
});
