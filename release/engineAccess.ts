import { join } from "node:path";
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { secretsOf } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { contextHost } from "../engine/context";
import { DockerEngine } from "../engine/docker";
import { maskOf } from "../engine/mask";
import { addLogin, openSsh, sshTarget } from "../engine/ssh";

/** What a remote.Command needs to reach the server. */
export interface ServerAccess {
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey?: string;
    /** The SSH agent that has the private key. The key itself stays out of the state, which a preview can read. */
    readonly agentSocketPath: string;
    /** Maximum number of login attempts. */
    readonly dialErrorLimit: number;
    /** Time limit of one attempt, in seconds: an unreachable server causes an error within 30 s. */
    readonly perDialTimeout: number;
  };
}

/**
 * An engine for resources and for the proofs. Both use the same engine.
 *
 * @public the declarations of the npm package name it
 */
export interface EngineAccess {
  readonly provider: docker.Provider;
  readonly engine: DockerEngine;
  readonly server?: ServerAccess;
}

/** A stack's engines. */
export interface Engines extends EngineAccess {
  /** The engine that builds, if it is not the engine that runs the stack. */
  readonly builder?: EngineAccess;
  /** PID of the Pulumi CLI. */
  readonly cli: number;
  /** Declared with the other providers, so that both plugins start while git is read. */
  readonly commands: command.Provider;
}

/**
 * Logs in to the server. It declares nothing, so that it can begin while the state is read.
 * @param folder of the files for the SSH connection, relative to the project
 * @param cli PID of the Pulumi CLI, which runs until Pulumi has removed the last container; the SSH connection closes then
 * @returns the server's engine; undefined for a stack of this machine
 * @throws EngineError if the key cannot be used or the server does not answer
 */
export async function logIn(
  config: DeployConfig,
  folder: string,
  cli: number,
): Promise<DockerEngine | undefined> {
  const { server, serverKey } = config;
  if (!server) return undefined;
  const ssh = await openSsh(server, serverKey ?? "", folder, cli, "own");
  const engine = new DockerEngine({ ssh }, maskOf(secretsOf(config)));
  engine.openAhead();
  return engine;
}

/** Logs in to the server for the plugin too, which gets ten sessions of its own. An `up` without changes needs none. */
export function logInPlugin({ server }: DeployConfig, folder: string, cli: number): void {
  if (server) addLogin(server, folder, cli, "master");
}

/**
 * Connects to the engine that runs the stack, local or on the server, and to the engine that builds. A preview connects
 * to neither.
 * @param folder of the files for the SSH connection, relative to the project
 * @param cli PID of the Pulumi CLI
 * @param login the server's engine; absent in a preview
 * @throws EngineError if a docker context selects an engine that the plugin `docker` cannot reach; what `logIn` throws
 */
export async function connectEngine(
  config: DeployConfig,
  folder: string,
  cli: number,
  login?: ReturnType<typeof logIn>,
): Promise<Engines> {
  const { server, buildOn } = config;
  const commands = new command.Provider("commands");
  const mask = maskOf(secretsOf(config));
  const local = (name: string) => ({
    provider: new docker.Provider(name, localProvider()),
    engine: new DockerEngine({}, mask),
  });
  if (!server) return { ...local("engine"), commands, cli };
  const ssh = sshTarget(server, folder);
  const engine = (await login) ?? new DockerEngine({ ssh }, mask);
  const { host, port, user, hostKey } = server;
  const at = host.includes(":") ? `[${host}]` : host;
  return {
    provider: new docker.Provider("engine", {
      host: `ssh://${user}@${at}:${port}`,
      sshOpts: [...ssh.options],
    }),
    commands,
    cli,
    ...(buildOn === "here" ? { builder: local("builder") } : {}),
    engine,
    server: {
      connection: {
        host,
        port,
        user,
        hostKey,
        agentSocketPath: join(folder, "agent"),
        dialErrorLimit: 2,
        perDialTimeout: 7,
      },
    },
  };
}

/** The plugin finds DOCKER_HOST and the default socket itself. It needs the host of a docker context as an argument. */
/** The arguments of a provider for the local engine, also if a docker context selects it. */
export function localProvider(): docker.ProviderArgs {
  const host = hostOfContext();
  if (host === undefined) return {};
  // A plugin that reads DOCKER_CONTEXT looks for the context only below the home folder.
  return process.env.DOCKER_CONTEXT ? { host, context: "" } : { host };
}

/** A preview ignores the error: it does not need the engine, and `up` reports it. */
function hostOfContext(): string | undefined {
  try {
    return contextHost();
  } catch (cause) {
    if (pulumi.runtime.isDryRun()) return undefined;
    throw cause;
  }
}
