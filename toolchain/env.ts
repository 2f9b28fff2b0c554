import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ToolchainError } from "./errors";
import { type Paths, paths } from "./paths";
import { readState } from "./state";

/**
 * The environment for pulumi, docker and the project's own programs. The toolchain is first on PATH. The user's
 * backend, login, passphrase and PULUMI_HOME stay. If there are none, it sets a local backend with its own passphrase.
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
    // Loading the SDK takes a second at each start. Cached compiled code makes it faster.
    NODE_COMPILE_CACHE: base.NODE_COMPILE_CACHE || join(at.toolchain, "compile-cache"),
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
  };
  const standIns = Object.values(state?.plugins ?? {}).some((plugin) => plugin.origin === "stand-in");
  if (standIns) env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  // Clients before 23 use the legacy builder unless this is set. Later ones do not need it.
  if (state?.docker?.buildKitByEnv) env.DOCKER_BUILDKIT = "1";

  // The project has its own PULUMI_HOME, but uses the user's login.
  const usersHome = base.PULUMI_HOME || join(home, ".pulumi");
  if (!base.PULUMI_CREDENTIALS_PATH && !base.PULUMI_HOME && readJson(join(usersHome, "credentials.json"))) {
    env.PULUMI_CREDENTIALS_PATH = usersHome;
  }
  const credentials = env.PULUMI_CREDENTIALS_PATH || usersHome;
  if (!hasBackend(base, at, credentials)) useLocalBackend(env, at);
  return env;
}

/**
 * In a GitHub workflow, a secret that does not exist becomes an empty variable. A deploy would treat it as unset, and
 * keep its state on a machine that is deleted a minute later.
 * @throws ToolchainError if the workflow sets an empty backend or passphrase
 */
export function assertSecrets(env: NodeJS.ProcessEnv): void {
  if (env.GITHUB_ACTIONS !== "true") return;
  const names = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"].filter((name) => env[name] === "");
  // Pulumi Cloud encrypts secrets itself.
  const missing = /^https:/.test(env.PULUMI_BACKEND_URL ?? "") ? [] : names;
  if (missing.length === 0) return;
  throw new ToolchainError(
    `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} empty: the secret does not exist in this job's environment`,
    "Make it there, as docs/ci.md describes.",
    2,
  );
}

/** Whether the user has configured a backend: by variable, token, project file or login. */
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
  // An earlier version may have created the folder readable for others.
  chmodSync(at.state, 0o700);
  env.PULUMI_BACKEND_URL = `file://${at.state}`;
  // An empty passphrase is valid too, so it is enough that the variable is set.
  if (env.PULUMI_CONFIG_PASSPHRASE !== undefined || env.PULUMI_CONFIG_PASSPHRASE_FILE) return;
  env.PULUMI_CONFIG_PASSPHRASE_FILE = passphraseFile(at.state);
}

/**
 * Creates the passphrase once and never changes it, even if two processes create it at the same time: secrets in the
 * state depend on it.
 */
function passphraseFile(folder: string): string {
  const file = join(folder, "passphrase");
  try {
    readFileSync(file);
    return file;
  } catch {
    // It does not exist yet.
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
