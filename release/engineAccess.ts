import { join } from "node:path";
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { secretsOf } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { contextHost } from "../engine/context";
import { DockerEngine } from "../engine/docker";
import { maskOf } from "../engine/mask";
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
    /** How often to try to log in. */
    readonly dialErrorLimit: number;
    /** Seconds that one try may take: a server that has vanished ends in an error within half a minute. */
    readonly perDialTimeout: number;
  };
}

/** An engine, for resources and for the proofs: both reach the same one. */
interface EngineAccess {
  readonly provider: docker.Provider;
  readonly engine: DockerEngine;
  readonly server?: ServerAccess;
}

/** A stack's engines. */
export interface Engines extends EngineAccess {
  /** The one that builds, where that is another one than the one that runs. */
  readonly builder?: EngineAccess;
  /** The process of the Pulumi CLI. */
  readonly cli: number;
  /** Declared with the others, so that both plugins start while git is read. */
  readonly commands: command.Provider;
}

/**
 * Connects to the engine that runs the stack, the local one or the server's, and to the one that builds. A preview connects
 * to none.
 *
 * @param folder where the way to the server is kept, relative to the project
 * @param cli the process for as long as which it is open
 * @throws EngineError where a docker context chooses an engine that the plugin `docker` cannot reach
 */
export async function connectEngine(config: DeployConfig, folder: string, cli: number): Promise<Engines> {
  const { server, serverKey, buildOn } = config;
  const commands = new command.Provider("commands");
  const mask = maskOf(secretsOf(config));
  const local = (name: string) => ({
    provider: new docker.Provider(name, localProvider()),
    engine: new DockerEngine({}, mask),
  });
  if (!server) return { ...local("engine"), commands, cli };
  const ssh = sshTarget(server, folder);
  // The CLI is there until Pulumi has removed the last container.
  if (!pulumi.runtime.isDryRun()) await openSsh(server, serverKey ?? "", folder, cli);
  const { host, port, user, hostKey } = server;
  const at = host.includes(":") ? `[${host}]` : host;
  return {
    provider: new docker.Provider("engine", {
      host: `ssh://${user}@${at}:${port}`,
      sshOpts: [...ssh.options],
    }),
    ...{ commands, cli },
    ...(buildOn === "here" ? { builder: local("builder") } : {}),
    engine: new DockerEngine({ ssh }, mask),
    server: {
      connection: {
        ...{ host, port, user, hostKey, agentSocketPath: join(folder, "agent") },
        ...{ dialErrorLimit: 2, perDialTimeout: 7 },
      },
    },
  };
}

/** The plugin finds DOCKER_HOST and the default socket by itself; an engine that a docker context chooses it has to be told. */
function localProvider(): docker.ProviderArgs {
  const host = hostOfContext();
  if (host === undefined) return {};
  // A plugin that reads DOCKER_CONTEXT would look for it below the home folder alone.
  return process.env.DOCKER_CONTEXT ? { host, context: "" } : { host };
}

/** A preview shows what would change; which engine that is to be done by is said by `up`. */
function hostOfContext(): string | undefined {
  try {
    return contextHost();
  } catch (cause) {
    if (pulumi.runtime.isDryRun()) return undefined;
    throw cause;
  }
}
