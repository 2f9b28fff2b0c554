import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config";
import { DockerEngine, type EngineTarget } from "../engine/docker";

/** What a remote.Command needs to reach the server. */
export interface ServerAccess {
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey?: string;
    readonly privateKey?: pulumi.Output<string>;
  };
}

/** The engine of a stack, for resources and for the proofs: both reach the same one. */
export interface EngineAccess {
  readonly provider: docker.Provider;
  readonly engine: DockerEngine;
  readonly server?: ServerAccess;
}

/**
 * Where a stack's engine is, and how it is reached: here, or over ssh with the host key pinned.
 *
 * @param folder where the key's file is kept (mode 0600, git-ignored), relative to the project: the old containers are
 *   removed after the program has ended, so that it must outlive it
 */
export async function engineTarget(config: DeployConfig, folder: string): Promise<EngineTarget> {
  const { server, serverKey } = config;
  if (!server) return {};
  const { host, port, user, hostKey } = server;
  const options = [
    ...["-i", join(folder, "id"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
    ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`, "-o", "StrictHostKeyChecking=yes"],
    // What the machine knows of the host on its own account does not count; a server that vanishes must not hold a deploy for ever.
    ...["-o", "GlobalKnownHostsFile=/dev/null", "-o", "ConnectTimeout=15"],
    ...["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8"],
  ];
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = port === 22 ? host : `[${host}]:${port}`;
  await writeFile(join(folder, "known_hosts"), hostKey ? `${name} ${hostKey}\n` : "");
  await writeFile(join(folder, "id"), serverKey ? `${serverKey.trimEnd()}\n` : "", { mode: 0o600 });
  await chmod(join(folder, "id"), 0o600);
  return { ssh: { destination: `${user}@${host}`, port, options } };
}

/** Connects resources and proofs to one engine: the local one, or the server's. */
export async function connectEngine(config: DeployConfig, folder: string): Promise<EngineAccess> {
  const target = await engineTarget(config, folder);
  const engine = new DockerEngine(target);
  const { server, serverKey } = config;
  if (!server || !target.ssh) return { provider: new docker.Provider("engine", {}), engine };
  const { port, options } = target.ssh;
  const { host, user, hostKey } = server;
  const at = host.includes(":") ? `[${host}]` : host;
  const privateKey = serverKey === undefined ? undefined : pulumi.secret(serverKey);
  return {
    provider: new docker.Provider("engine", { host: `ssh://${user}@${at}:${port}`, sshOpts: [...options] }),
    engine,
    server: { connection: { host, port, user, hostKey, privateKey } },
  };
}
