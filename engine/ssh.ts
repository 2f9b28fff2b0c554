import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { childEnvironment } from "../config/environment";
import type { ServerConfig } from "../config/types";
import { NAMESPACE } from "../freshness/project";
import { EngineError, sshProblem } from "./problems";

const READY = /^ready$/m;

/** How ssh reaches a server. */
export interface SshTarget {
  /** `user@host`. */
  readonly destination: string;
  readonly port: number;
  /** ssh options: they pin the host key and select the agent with the private key. */
  readonly options: readonly string[];
}

/**
 * Logins that the commands of one deploy share. sshd allows ten sessions a login: each side has its own, or their last ones would
 * log in alone, for eight round trips each.
 */
export type SharedLogin =
  /** The plugin's; its name is part of the state. */ "master" | /** This program's. */ "own";

/**
 * Returns the connection to a server without opening it.
 *
 * @param folder folder for the files of ssh; relative, because the options are part of the state
 */
export function sshTarget(
  { host, port, user }: ServerConfig,
  folder: string,
  shared: SharedLogin = "master",
): SshTarget {
  const options = {
    BatchMode: "yes",
    // Use only the key of this run's own agent.
    IdentityAgent: join(folder, "agent"),
    IdentityFile: "none",
    IdentitiesOnly: "no",
    // Ignore the machine's own known_hosts.
    GlobalKnownHostsFile: "/dev/null",
    UserKnownHostsFile: join(folder, "known_hosts"),
    StrictHostKeyChecking: "yes",
    // Commands share one login while it has free sessions (sshd allows 10), then log in themselves.
    ControlMaster: "no",
    ControlPath: join(folder, shared),
    // A vanished server becomes an error within half a minute.
    ConnectTimeout: "10",
    ServerAliveInterval: "5",
    ServerAliveCountMax: "3",
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return { destination: `${user}@${host}`, port, options: flags };
}

/**
 * Opens a shared login for as long as the process `$2` runs. The new socket replaces the old name only when it answers, because
 * an earlier run may be ending.
 */
const LOGIN = `
folder=$1 pid=$2 name=$3; shift 3
socket="$folder/$name.$$" begun=$(date +%s)
ssh -N -o ControlMaster=yes -o ControlPath="$socket" "$@" </dev/null >/dev/null 2>&1 & master=$!
while kill -0 "$master" 2>/dev/null && [ ! -S "$socket" ]; do sleep 0.02; done
# A login that timed out would time out again; the next command reports why any other login fails.
[ -S "$socket" ] || [ $(($(date +%s) - begun)) -lt 9 ] || { echo "Connection timed out"; exit 1; }
[ ! -S "$socket" ] || mv -f "$socket" "$folder/$name"
echo ready
exec </dev/null >/dev/null 2>&1
while kill -0 "$pid"; do sleep 1; done
kill "$master"
`;

/** An agent with the key from standard input; below it the first shared login. It ends with that. */
const KEEPER = `
folder=$1 login=$2; shift 2
exec ssh-agent -a "$folder/agent.$$" sh -c '
  folder=$1 login=$2; shift 2
  ssh-add -q -t 43200 - 2>&1 || exit 1
  mv -f "$SSH_AUTH_SOCK" "$folder/agent"
  exec sh -c "$login" sh "$folder" "$@"
' sh "$folder" "$login" "$@"
`;

/**
 * Opens the connection to a server until a process ends, so that it covers removals after the program's end.
 * The private key is in no file and on no command line: an agent reads it from standard input and ends with
 * the process.
 *
 * @param key the private key
 * @param pid PID of the process
 * @throws EngineError if the key cannot be used
 */
export async function openSsh(
  server: ServerConfig,
  key: string,
  folder: string,
  pid: number,
  shared: SharedLogin = "master",
): Promise<SshTarget> {
  const { host, port, hostKey } = server;
  const target = sshTarget(server, folder, shared);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = port === 22 ? host : `[${host}]:${port}`;
  await writeFile(join(folder, "known_hosts"), hostKey ? `${name} ${hostKey}\n` : "", { mode: 0o600 });
  const child = spawn("sh", ["-c", KEEPER, "sh", folder, LOGIN, String(pid), shared, ...loginOf(target)], {
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
    env: childEnvironment("ssh"),
  });
  child.stdin.on("error", () => undefined); // The agent ended before it read the key; its output has the reason.
  child.stdin.end(`${key.trimEnd()}\n`);
  const said = await new Promise<string>((resolve) => {
    let words = "";
    child.stdout.on("data", (chunk) => {
      words += chunk;
      if (READY.test(words)) resolve(words);
    });
    child.once("close", () => resolve(words));
    child.once("error", (cause) => resolve(cause.message));
  });
  child.stdout.destroy();
  child.unref();
  if (READY.test(said)) return target;
  throw new EngineError(sshProblem(said) ?? `ssh-agent rejects ${NAMESPACE}:serverKey: ${said.trim()}`);
}

/**
 * Starts another shared login with the agent of an open connection, and does not wait for it: a command that comes before it is
 * there logs in itself, as one does whose login fails.
 *
 * @param pid PID of the process with which it ends
 */
export function addLogin(server: ServerConfig, folder: string, pid: number, shared: SharedLogin): void {
  const login = loginOf(sshTarget(server, folder, shared));
  const child = spawn("sh", ["-c", LOGIN, "sh", folder, String(pid), shared, ...login], {
    detached: true,
    stdio: "ignore",
    env: childEnvironment("ssh"),
  });
  // Without a shell the commands log in themselves.
  child.once("error", (cause) => cause);
  child.unref();
}

function loginOf({ options, port, destination }: SshTarget): string[] {
  return [...options, "-p", String(port), destination];
}
