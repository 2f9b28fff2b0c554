import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerConfig } from "../config";
import { childEnvironment } from "../config/environment";
import { EngineError, sshProblem } from "./problems";

const READY = /^ready$/m;

/** How the system's ssh reaches a server. */
export interface SshTarget {
  /** `user@host`. */
  readonly destination: string;
  readonly port: number;
  /** They pin the host key and name the agent that has the private key. */
  readonly options: readonly string[];
}

/**
 * The way to a server, without going it.
 *
 * @param folder where `openSsh` puts what ssh needs; relative, for the options are part of the state
 */
export function sshTarget({ host, port, user }: ServerConfig, folder: string): SshTarget {
  const options = {
    BatchMode: "yes",
    // The key is in an agent of the run's own; no other key of this machine is tried.
    IdentityAgent: join(folder, "agent"),
    IdentityFile: "none",
    IdentitiesOnly: "no",
    // What the machine knows of the host on its own account does not count.
    GlobalKnownHostsFile: "/dev/null",
    UserKnownHostsFile: join(folder, "known_hosts"),
    StrictHostKeyChecking: "yes",
    // All commands share one login where its sessions suffice (sshd allows 10), and log in themselves where not.
    ControlMaster: "no",
    ControlPath: join(folder, "master"),
    // A server that vanishes ends in an error within half a minute.
    ConnectTimeout: "10",
    ServerAliveInterval: "5",
    ServerAliveCountMax: "3",
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return { destination: `${user}@${host}`, port, options: flags };
}

/**
 * Goes on for as long as the process `$2`: an agent with the key that comes on standard input, and a login that all
 * commands share. New sockets take the old ones' names only when they answer, for an earlier run's may be ending now.
 */
const KEEPER = `
folder=$1 pid=$2; shift 2
exec ssh-agent -a "$folder/agent.$$" sh -c '
  folder=$1 pid=$2; shift 2
  ssh-add -q -t 43200 - 2>&1 || exit 1
  mv -f "$SSH_AUTH_SOCK" "$folder/agent"
  socket="$folder/master.$$" begun=$(date +%s)
  ssh -N -o ControlMaster=yes -o ControlPath="$socket" "$@" </dev/null >/dev/null 2>&1 & master=$!
  while kill -0 "$master" 2>/dev/null && [ ! -S "$socket" ]; do sleep 0.02; done
  # A login that took all its time will not fare better the second time; why another one fails is told by the next command.
  [ -S "$socket" ] || [ $(($(date +%s) - begun)) -lt 9 ] || { echo "Connection timed out"; exit 1; }
  [ ! -S "$socket" ] || mv -f "$socket" "$folder/master"
  echo ready
  exec </dev/null >/dev/null 2>&1
  while kill -0 "$pid"; do sleep 1; done
  kill "$master"
' sh "$folder" "$pid" "$@"
`;

/**
 * Makes a server reachable for as long as a process lives, removals after the program's end included. The private key is
 * in no file and on no command line: it goes from here to an agent, which ends with that process.
 *
 * @param key the private key
 * @param pid the process
 * @throws EngineError where the key cannot be used
 */
export async function openSsh(
  server: ServerConfig,
  key: string,
  folder: string,
  pid: number,
): Promise<SshTarget> {
  const { host, port, hostKey } = server;
  const target = sshTarget(server, folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = port === 22 ? host : `[${host}]:${port}`;
  await writeFile(join(folder, "known_hosts"), hostKey ? `${name} ${hostKey}\n` : "");
  const login = [...target.options, "-p", String(port), target.destination];
  const child = spawn("sh", ["-c", KEEPER, "sh", folder, String(pid), ...login], {
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
    env: childEnvironment("ssh"),
  });
  child.stdin.on("error", () => undefined); // It has ended before it read the key, and says why.
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
  throw new EngineError(sshProblem(said) ?? `ssh-agent rejects watch-party:serverKey: ${said.trim()}`);
}
