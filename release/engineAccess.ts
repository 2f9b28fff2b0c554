import { join } from "node:path";
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { problemsForUp } from "../config/problems";
import { secretsOf } from "../config/secrets";
import { ConfigError, type DeployConfig } from "../config/types";
import { contextHost } from "../engine/context";
import { DockerEngine } from "../engine/docker";
import { cliProcess, endWith } from "../engine/lifeline";
import { maskOf } from "../engine/mask";
import { pluginOrigins } from "../engine/plugins";
import { addLogin, openSsh, sshTarget } from "../engine/ssh";
import { startEarly } from "../engine/until";
import { makeWorkPrivate, sshFolder } from "../engine/workFolder";

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

/** The begin of a program's run. */
export interface Begun {
  readonly preview: boolean;
  readonly stack: string;
  /** PID of the Pulumi CLI, which runs until Pulumi has removed the last container; the SSH connections close then. */
  readonly cli: number;
  /** The folder of the files for the SSH connections, relative to the project. */
  readonly folder: string;
  /** The server's engine; undefined for a stack of this machine, absent in a preview. */
  readonly login?: Promise<DockerEngine | undefined>;
}

/**
 * Checks the configuration, makes the stack's files private, ends with the CLI, and begins to log in to the server. It declares
 * nothing, so that the state can still be read.
 * @throws ConfigError if an `up` cannot succeed
 */
export async function begin(config: DeployConfig): Promise<Begun> {
  const preview = pulumi.runtime.isDryRun();
  const stack = pulumi.getStack();
  const problems = preview ? [] : problemsForUp(config, pluginOrigins());
  if (problems.length > 0) throw new ConfigError(problems);
  await makeWorkPrivate(stack);
  const cli = await cliProcess();
  const folder = sshFolder(stack);
  if (preview) return { preview, stack, cli, folder };
  endWith(cli);
  return { preview, stack, cli, folder, login: startEarly(logIn(config, folder, cli)) };
}

/** @throws EngineError if the key cannot be used or the server does not answer */
async function logIn(config: DeployConfig, folder: string, cli: number): Promise<DockerEngine | undefined> {
  const { server, serverKey } = config;
  if (!server) return undefined;
  const ssh = await openSsh(server, serverKey ?? "", folder, cli, "own");
  const engine = new DockerEngine({ ssh }, maskOf(secretsOf(config)));
  engine.openAhead();
  return engine;
}

/** Logs in to the server for the plugin too, which gets ten sessions of its own. An `up` without changes needs none. */
export function logInPlugin({ server }: DeployConfig, { folder, cli }: Begun): void {
  if (server) addLogin(server, folder, cli, "master");
}

/**
 * Connects to the engine that runs the stack, local or on the server, and to the engine that builds. A preview connects
 * to neither.
 * @throws EngineError if a docker context selects an engine that the plugin `docker` cannot reach, the server's key cannot be
 * used, or the server does not answer
 */
export async function connectEngine(config: DeployConfig, { folder, cli, login }: Begun): Promise<Engines> {
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

/**
 * The arguments of a provider for the local engine. The plugin finds DOCKER_HOST and the default socket itself; it needs the
 * host of a docker context as an argument.
 */
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
