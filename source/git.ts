import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import execa from "execa";
import { type SimpleGitOptions, simpleGit } from "simple-git";
import { childEnvironment } from "../config/environment";
import { endGroup } from "../engine/processGroup";
import { must } from "../freshness/sure";

/**
 * The only code that starts git (tests/unit/git.test.ts). A repository's own configuration must not run a program here,
 * because a deploy handles other people's clones (docs/decisions/git-runs-nothing.md).
 */
const SETTINGS: readonly (readonly [key: string, value: string])[] = [
  ["safe.bareRepository", "explicit"],
  ["core.fsmonitor", "false"],
  ["core.hooksPath", "/dev/null"],
  ["core.alternateRefsCommand", "true"],
  ["core.pager", "cat"],
  ["diff.external", ""],
  ["log.showSignature", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["submodule.recurse", "false"],
  ["fetch.recurseSubmodules", "false"],
  ["protocol.allow", "never"],
  ["protocol.file.allow", "always"],
  ["protocol.https.allow", "always"],
  ["protocol.http.allow", "always"],
  ["protocol.ssh.allow", "always"],
  ["protocol.git.allow", "never"],
  ["protocol.ext.allow", "never"],
];

const VARIABLES = {
  // It takes precedence over each `protocol.NAME.allow`.
  GIT_ALLOW_PROTOCOL: "file:http:https:ssh",
  GIT_ASKPASS: "true",
  GIT_EDITOR: "true",
  // Ignore replacement objects of this clone.
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_PAGER: "cat",
  GIT_TERMINAL_PROMPT: "0",
  LC_ALL: "C",
  SSH_ASKPASS_REQUIRE: "never",
};

/** simple-git blocks these options and variables by default; this file sets them itself. */
const UNSAFE: SimpleGitOptions["unsafe"] = {
  allowUnsafeAlias: true,
  allowUnsafeAskPass: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeDiffTextConv: true,
  allowUnsafeEditor: true,
  allowUnsafeFilter: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeGitProxy: true,
  allowUnsafeHooksPath: true,
  allowUnsafePack: true,
  allowUnsafePager: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeSubmodule: true,
};

export interface GitOptions {
  /** Additional variables, such as an index. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  /** Runs the configured filters. Default: false. */
  readonly filters?: boolean;
  /**
   * Timeout in milliseconds. Git then runs in its own session, without a terminal for a password prompt. Default: none.
   */
  readonly timeout?: number;
}

/** Runs git through simple-git; returns its standard output as text. */
export async function git(folder: string, args: readonly string[]): Promise<string> {
  const env = variables();
  const asked = simpleGit({
    baseDir: folder,
    // Do not wait after the end of a command without output.
    completion: { onExit: false },
    allowEnvironment: Object.keys(env),
    unsafe: UNSAFE,
  });
  return asked.env(env).raw([...(await settingsOf(folder, {})), ...args]);
}

/** Runs git with options that simple-git does not pass on: standard input, another index, a timeout. */
export async function gitWith(
  folder: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  return (await gitBytes(folder, args, options)).toString("utf8");
}

/** The same, with output as bytes: a path need not be UTF-8. */
export async function gitBytes(
  folder: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<Buffer> {
  const { input, env, timeout } = options;
  const child = execa("git", [...(await settingsOf(folder, options)), ...args], {
    cwd: folder,
    env: variables(env),
    extendEnv: false,
    encoding: null,
    maxBuffer: 1024 ** 3,
    stripFinalNewline: false,
    reject: false,
    // Its own process group: git's helpers keep a connection open when only git is killed.
    detached: timeout !== undefined,
    ...(input === undefined ? { stdin: "ignore" as const } : { input }),
  });
  const timer = timeout === undefined ? undefined : setTimeout(() => endGroup(child.pid), timeout);
  const { stdout, stderr, failed, shortMessage } = (await child) as execa.ExecaReturnValue<Buffer> & {
    shortMessage?: string;
  };
  clearTimeout(timer);
  if (failed) throw new Error(`git ${args[0]}: ${stderr?.toString("utf8").trim() || shortMessage}`);
  return stdout;
}

/** The same, with output as a stream. `done` rejects if the command fails. */
export async function gitStream(
  folder: string,
  args: readonly string[],
  input: string,
): Promise<{ output: Readable; done: Promise<unknown>; end: () => void }> {
  const child = execa("git", [...(await settingsOf(folder, {})), ...args], {
    cwd: folder,
    env: variables(),
    extendEnv: false,
    buffer: false,
    input,
  });
  child.stdin?.on("error", () => undefined); // Git ended before it read its input; its output has the reason.
  return { output: must(child.stdout, "output of git"), done: child, end: () => child.kill() };
}

function variables(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return childEnvironment("git", { ...VARIABLES, ...more });
}

/** A deploy reads it a dozen times within a second. */
const KNOWN_MS = 1_000;
const known = new Map<string, Promise<Setting[]>>();

/** All git configuration of a folder. */
function configurationOf(folder: string): Promise<Setting[]> {
  const before = known.get(folder);
  if (before) return before;
  const reading = readConfiguration(folder);
  known.set(folder, reading);
  setTimeout(() => known.delete(folder), KNOWN_MS).unref();
  return reading;
}

/** The value of a configuration key, in lower case; undefined without one. */
export async function settingOf(folder: string, key: string): Promise<string | undefined> {
  return (await configurationOf(folder)).findLast((setting) => setting.key === key)?.value;
}

/**
 * Options that keep a repository's configuration from running a program: fixed ones, and one for each key that only
 * this repository has.
 */
async function settingsOf(folder: string, { filters = false }: GitOptions): Promise<string[]> {
  const configuration = await configurationOf(folder);
  const upload = configuration.find(
    ({ scope, key }) => scope !== "system" && scope !== "global" && /^remote\..*\.uploadpack$/s.test(key),
  );
  if (upload && configuration.some(({ key }) => /^remote\..*\.promisor$/s.test(key)))
    throw new Error(
      `git: ${folder} is a partial clone whose ${upload.key} names a program, which git would run for each missing object; remove that key`,
    );
  const own = overrides(configuration, filters);
  const strange = own.find(([name]) => /[=\n]/.test(name));
  if (strange)
    throw new Error(
      `git: the configuration of ${folder} has the key ${JSON.stringify(strange[0])}, which cannot be switched off; remove it`,
    );
  return asOptions([...SETTINGS, ...own]);
}

function asOptions(settings: readonly (readonly [string, string])[]): string[] {
  return settings.flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** A git configuration key, and the file that sets it. */
export interface Setting {
  readonly scope: string;
  readonly key: string;
  readonly value: string;
}

/**
 * Git before 2.38 lacks `safe.bareRepository`.
 *
 * @throws Error if git would take a folder of the app for a repository
 */
function refuseBareRepository(folder: string): void {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return;
    if (["HEAD", "objects", "refs"].every((name) => existsSync(join(at, name))))
      throw new Error(`git: ${at} is a bare repository; deploy from a checkout`);
    if (dirname(at) === at) return;
  }
}

async function readConfiguration(folder: string): Promise<Setting[]> {
  refuseBareRepository(folder);
  const { stdout, exitCode, stderr } = await execa(
    "git",
    [...asOptions(SETTINGS), "config", "--list", "--show-scope", "--null"],
    {
      cwd: folder,
      env: variables(),
      extendEnv: false,
      stdin: "ignore",
      stripFinalNewline: false,
      // The actual command reports what is wrong with the folder.
      reject: false,
    },
  );
  // An old git would ignore the option, and nothing would be switched off.
  if (exitCode === 129) throw new Error(`git is older than 2.26: ${stderr.split("\n")[0]}`);
  const parts = (stdout ?? "").split("\0");
  return parts.slice(0, -1).flatMap((scope, at) => {
    const setting = parts[at + 1];
    if (at % 2 === 1 || setting === undefined) return [];
    const [key = "", ...value] = setting.split("\n");
    return [{ scope, key, value: value.join("\n") }];
  });
}

/**
 * Options that keep configuration keys from running a program. The user's and the system's files may set credential
 * helpers and an ssh command; a clone's may not. Filters run only on request.
 */
export function overrides(settings: readonly Setting[], filters: boolean): [string, string][] {
  const isTrusted = ({ scope }: Setting) => scope === "system" || scope === "global";
  const isHelper = ({ key }: Setting) => /^credential\.(.*\.)?helper$/s.test(key);
  const others = settings.filter((setting) => !isTrusted(setting) && setting.scope !== "command");
  const found: [string, string][] = [];
  if (!filters)
    for (const { key } of settings) {
      if (/^filter\..*\.(clean|smudge|process)$/s.test(key)) found.push([key, ""]);
      if (/^filter\..*\.required$/s.test(key)) found.push([key, "false"]);
    }
  for (const { key } of others) {
    // Hooks in the configuration, which newer versions of git run besides those in the hooks folder.
    if (/^hook\..*\.command$/s.test(key)) found.push([key, "true"]);
    if (/^hook\..*\.command$/s.test(key)) found.push([key.replace(/command$/, "enabled"), "false"]);
    if (/^diff\..*\.(command|textconv)$/s.test(key)) found.push([key, ""]);
    if (/^http\.(.*\.)?savecookies$/s.test(key)) found.push([key, "false"]);
  }
  if (others.some(isHelper)) {
    // An empty helper resets the list.
    for (const { key } of others.filter(isHelper)) found.push([key, ""]);
    found.push(["credential.helper", ""]);
    for (const { key, value } of settings.filter((each) => isTrusted(each) && isHelper(each)))
      found.push([key, value]);
  }
  const ssh = settings.filter((each) => isTrusted(each) && each.key === "core.sshcommand").at(-1);
  if (others.some(({ key }) => key === "core.sshcommand"))
    found.push(["core.sshCommand", ssh?.value ?? "ssh"]);
  return [...new Map(found.map((each) => [each.join("="), each])).values()];
}

/** Whether a commit equals another one or is its ancestor; false if either is missing. */
export function isWithin(root: string, commit: string, of: string): Promise<boolean> {
  return gitWith(root, ["merge-base", "--is-ancestor", commit, of]).then(
    () => true,
    () => false,
  );
}

/** Splits output that git ends with NUL. */
export function fields(output: string): string[] {
  return output.split("\0").filter((field) => field !== "");
}
