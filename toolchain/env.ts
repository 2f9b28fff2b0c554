import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ToolchainError } from "./errors";
import { type Paths, paths } from "./paths";
import { readState } from "./state";

/**
 * The environment for pulumi, docker and the project's own programs: the toolchain first on PATH, the user's own choices
 * of backend, login, passphrase and PULUMI_HOME kept, and a local backend with a passphrase of its own where there are none.
 */
export function toolchainEnv(
  base: NodeJS.ProcessEnv = process.env,
  at: Paths = paths(base),
  home = base.HOME || homedir(),
): NodeJS.ProcessEnv {
  const state = readState(at);
  const rest = (base.PATH ?? "").split(delimiter).filter((folder) => folder !== at.bin);
  const env: NodeJS.ProcessEnv = {
    ...base,
    PATH: [at.bin, ...rest].join(delimiter),
    PULUMI_HOME: base.PULUMI_HOME || join(at.toolchain, "pulumi"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // The SDK is a second of JavaScript at each start; compiled once it is less.
    NODE_COMPILE_CACHE: base.NODE_COMPILE_CACHE || join(at.toolchain, "compile-cache"),
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
  };
  const standIns = Object.values(state?.plugins ?? {}).some((plugin) => plugin.origin === "stand-in");
  if (standIns) env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  // Clients before 23 build with the legacy builder unless told; later ones need no telling.
  if (state?.docker?.buildKitByEnv) env.DOCKER_BUILDKIT = "1";

  // The project has a PULUMI_HOME of its own, but the user's login counts.
  const usersHome = base.PULUMI_HOME || join(home, ".pulumi");
  if (!base.PULUMI_CREDENTIALS_PATH && !base.PULUMI_HOME && readJson(join(usersHome, "credentials.json"))) {
    env.PULUMI_CREDENTIALS_PATH = usersHome;
  }
  const credentials = env.PULUMI_CREDENTIALS_PATH || usersHome;
  if (!hasBackend(base, at, credentials)) useLocalBackend(env, at);
  return env;
}

/**
 * In a GitHub workflow a secret that does not exist is an empty variable. A deploy would take it for no choice, and keep its
 * state on a machine that is gone a minute later.
 *
 * @throws ToolchainError where the workflow names a backend or a passphrase that is empty
 */
export function assertSecrets(env: NodeJS.ProcessEnv): void {
  if (env.GITHUB_ACTIONS !== "true") return;
  const names = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"].filter((name) => env[name] === "");
  // Pulumi Cloud keeps secrets by itself.
  const missing = /^https:/.test(env.PULUMI_BACKEND_URL ?? "") ? [] : names;
  if (missing.length === 0) return;
  throw new ToolchainError(
    `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} empty: the secret does not exist in this job's environment`,
    "Make it there, as docs/ci.md describes.",
    2,
  );
}

/** Whether the user has said where state is kept: by variable, token, project file or login. */
function hasBackend(base: NodeJS.ProcessEnv, at: Paths, credentials: string): boolean {
  if (base.PULUMI_BACKEND_URL || base.PULUMI_ACCESS_TOKEN) return true;
  if (readJson(join(credentials, "credentials.json"))?.current) return true;
  try {
    return /^backend:/m.test(readFileSync(join(at.project, "Pulumi.yaml"), "utf8"));
  } catch {
    return false;
  }
}

function useLocalBackend(env: NodeJS.ProcessEnv, at: Paths): void {
  mkdirSync(at.state, { recursive: true, mode: 0o700 });
  // State of an earlier version may lie in a folder that others can read.
  chmodSync(at.state, 0o700);
  env.PULUMI_BACKEND_URL = `file://${at.state}`;
  // An empty passphrase is a choice too: it stands where the variable is set at all.
  if (env.PULUMI_CONFIG_PASSPHRASE !== undefined || env.PULUMI_CONFIG_PASSPHRASE_FILE) return;
  env.PULUMI_CONFIG_PASSPHRASE_FILE = passphraseFile(at.state);
}

/** Made once and never changed, also when two processes make it at once: secrets in the state depend on it. */
function passphraseFile(folder: string): string {
  const file = join(folder, "passphrase");
  try {
    readFileSync(file);
    return file;
  } catch {
    // Not there yet.
  }
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, randomBytes(32).toString("base64"), { mode: 0o600 });
  try {
    linkSync(draft, file); // unlike a rename, it does not replace what another process made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return file;
}

function readJson(file: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
