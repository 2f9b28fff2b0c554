import { join } from "node:path";
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config";
import { DockerEngine } from "../engine/docker";
import { openSsh, sshTarget } from "../engine/ssh";

/** What a remote.Command needs to reach the server. */
export interface ServerAccess {
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey?: string;
    /** The agent that has the private key: what stands in the state, a preview can read. */
    readonly agentSocketPath: string;
  };
}

/** The engine of a stack, for resources and for the proofs: both reach the same one. */
export interface EngineAccess {
  readonly provider: docker.Provider;
  /** Declared with the other one, so that both plugins start while git is read. */
  readonly commands: command.Provider;
  readonly engine: DockerEngine;
  readonly server?: ServerAccess;
}

/**
 * Connects resources and proofs to one engine: the local one, or the server's. A preview connects to none.
 *
 * @param folder where the way to the server is kept, relative to the project
 */
export async function connectEngine(config: DeployConfig, folder: string): Promise<EngineAccess> {
  const { server, serverKey } = config;
  const commands = new command.Provider("commands");
  if (!server) return { provider: new docker.Provider("engine", {}), commands, engine: new DockerEngine({}) };
  const ssh = sshTarget(server, folder);
  // The language host, this process's parent, is there until Pulumi has removed the last container.
  if (!pulumi.runtime.isDryRun()) await openSsh(server, serverKey ?? "", folder, process.ppid);
  const { host, port, user, hostKey } = server;
  const at = host.includes(":") ? `[${host}]` : host;
  return {
    provider: new docker.Provider("engine", {
      host: `ssh://${user}@${at}:${port}`,
      sshOpts: [...ssh.options],
    }),
    commands,
    engine: new DockerEngine({ ssh }),
    server: { connection: { host, port, user, hostKey, agentSocketPath: join(folder, "agent") } },
  };
}
