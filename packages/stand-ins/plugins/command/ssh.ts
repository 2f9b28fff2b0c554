/**
 * Runs one command with the system's ssh client. Keys never appear on a command line. Their files exist only during the
 * call.
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunResult, run, withoutSecrets } from "../process";

export interface Connection {
  host: string;
  port: number;
  user: string;
  privateKey?: string;
  /** `TYPE BASE64`, as in a known_hosts line. Without it any host key is accepted, as with the official plugin. */
  hostKey?: string;
  /** Maximum number of attempts; -1 for no limit. */
  dialErrorLimit: number;
  /** Time limit of one attempt, in seconds. */
  perDialTimeout: number;
  agentSocketPath?: string;
}

export interface SshOptions {
  environment: Record<string, string>;
  /** Set in the environment if possible. The command does not fail otherwise. */
  previous: Record<string, string>;
  stdin?: string;
  onStdout: (chunk: string) => void;
  onStderr: (chunk: string) => void;
  warn: (message: string) => void;
}

/** Runs a command on the other machine. Throws if the login fails. Otherwise returns the command's result. */
export async function runOverSsh(
  connection: Connection,
  command: string,
  options: SshOptions,
): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), "command-ssh-"));
  try {
    const server = new Server(connection, folder, await argumentsFor(connection, folder));
    const { environment, previous } = options;
    const accepted = await acceptedVariables(server, { ...previous, ...environment });
    for (const name of Object.keys(environment)) {
      if (!accepted.has(name))
        throw new Error(`could not set environment variable "${name}": ssh: setenv failed`);
    }
    for (const name of Object.keys(previous)) {
      if (!accepted.has(name)) {
        options.warn(
          `Unable to set '${name}' environment variable: the server accepts it where its AcceptEnv says so. ` +
            "Set addPreviousOutputInEnv to false to do without.",
        );
      }
    }
    return await server.run(command, { ...previous, ...environment }, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The variables that the server accepts. ssh sends them without an acknowledgement, so this asks the remote side which
 * ones arrived. The compared values stay inside the encrypted connection.
 */
async function acceptedVariables(server: Server, variables: Record<string, string>): Promise<Set<string>> {
  const names = Object.keys(variables).filter((name) => /^[A-Za-z_]\w*$/.test(name));
  if (names.length === 0) return new Set();
  const probe = names.map((name) => `printenv ${name}; printf '\\000'`).join("; ");
  const found = (await server.run(probe, variables)).stdout.split("\0");
  return new Set(names.filter((name, index) => found[index] === `${variables[name]}\n`));
}

/** The other machine, with a new login for each command. */
class Server {
  constructor(
    private readonly connection: Connection,
    private readonly folder: string,
    private readonly args: readonly string[],
  ) {}

  async run(
    command: string,
    variables: Record<string, string>,
    io: Partial<SshOptions> = {},
  ): Promise<RunResult> {
    const { dialErrorLimit, agentSocketPath } = this.connection;
    const names = Object.keys(variables);
    const send = names.flatMap((name) => ["-o", `SendEnv=${name}`]);
    const env = {
      ...withoutSecrets(),
      ...variables,
      ...(agentSocketPath ? { SSH_AUTH_SOCK: agentSocketPath } : {}),
    };
    for (let attempt = 1; ; attempt++) {
      // ssh writes its own messages to a file, so that stderr contains only the command's output.
      const journal = join(this.folder, `ssh-${names.length}-${attempt}.log`);
      const result = await run("ssh", ["-E", journal, ...send, ...this.args, command], {
        env,
        stdin: io.stdin,
        onStdout: io.onStdout,
        onStderr: io.onStderr,
      });
      if (result.failure !== undefined) throw new Error(`ssh: ${result.failure.message}`);
      if (result.code === 0) return result;
      const said = await readFile(journal, "utf8").catch(() => "");
      // After authentication the command may have run, so it is not run again.
      if (/^Authenticated to /m.test(said)) return result;
      if (/invalid format|error in libcrypto/.test(said)) throw new Error("ssh: no key found");
      if (dialErrorLimit >= 0 && attempt >= dialErrorLimit) {
        throw new Error(`after ${attempt} failed attempts: ${dialProblem(said, this.connection)}`);
      }
      await sleep(Math.min(100 * 1.5 ** attempt, 5000));
    }
  }
}

/** The reason why the login failed, in the words of the official plugin. */
export function dialProblem(said: string, { host, port }: Connection): string {
  const address = `dial tcp ${host}:${port}`;
  if (/Connection refused/.test(said)) return `${address}: connect: connection refused`;
  if (/timed out/.test(said)) return `${address}: i/o timeout`;
  if (/No route to host/.test(said)) return `${address}: connect: no route to host`;
  if (/Could not resolve hostname/.test(said)) return `dial tcp: lookup ${host}: no such host`;
  if (/Host key verification failed|no matching host key type/.test(said)) {
    return "ssh: handshake failed: ssh: host key mismatch";
  }
  if (/Permission denied/.test(said)) {
    return (
      "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], " +
      "no supported methods remain"
    );
  }
  return `${address}: ${said.trim().split("\n").pop() || "ssh said nothing"}`;
}

async function argumentsFor(connection: Connection, folder: string): Promise<string[]> {
  const { host, port, user, privateKey, hostKey, perDialTimeout } = connection;
  const options: Record<string, string> = {
    BatchMode: "yes",
    ConnectTimeout: String(Math.max(1, Math.ceil(perDialTimeout))),
    ControlMaster: "no",
    ControlPath: "none",
    ClearAllForwardings: "yes",
    GlobalKnownHostsFile: "/dev/null",
    LogLevel: "VERBOSE",
    PreferredAuthentications: "publickey",
    // A server that stops responding must not block a deploy forever.
    ServerAliveInterval: "5",
    ServerAliveCountMax: "4",
    StrictHostKeyChecking: "no",
    UserKnownHostsFile: "/dev/null",
  };
  if (hostKey !== undefined) {
    const [type, key] = hostKey.trim().split(/\s+/);
    if (type === undefined || key === undefined)
      throw new Error("connection.hostKey: should be `TYPE BASE64`");
    const known = join(folder, "known_hosts");
    // An alias, so that the lookup does not depend on the port or the notation of the host.
    await writeFile(known, `pinned ${type} ${key}\n`, { mode: 0o600 });
    Object.assign(options, {
      HostKeyAlias: "pinned",
      StrictHostKeyChecking: "yes",
      UserKnownHostsFile: known,
    });
  }
  const identity: string[] = [];
  if (privateKey !== undefined) {
    const file = join(folder, "key");
    await writeFile(file, privateKey.endsWith("\n") ? privateKey : `${privateKey}\n`, { mode: 0o600 });
    identity.push("-i", file);
    Object.assign(options, { IdentitiesOnly: "yes", IdentityAgent: "none" });
  }
  const pairs = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  // Ignores the user's SSH configuration, as the official plugin does.
  return ["-F", "/dev/null", "-T", ...identity, ...pairs, "-p", String(port), "-l", user, "--", host];
}
