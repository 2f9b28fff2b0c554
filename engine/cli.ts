import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import { must } from "../freshness/sure";
import { EngineError } from "./problems";
import type { SshTarget } from "./ssh";

/** How the docker CLI reaches the engine: locally, or on a server over SSH. */
export interface EngineTarget {
  readonly ssh?: SshTarget;
}

/** Environment of docker commands: it holds no secret of the deploy. */
function withOwnEnvironment() {
  return { env: childEnvironment("docker"), extendEnv: false };
}

/** Runs the docker CLI, and scripts on the engine's machine. */
export class EngineCli {
  constructor(protected readonly target: EngineTarget = {}) {}

  /** Runs a docker command and returns its standard output. */
  async docker(
    args: readonly string[],
    options: {
      input?: string;
      timeoutSeconds?: number;
      signal?: AbortSignal;
    } = {},
  ): Promise<string> {
    const [file, argv] = this.commandLine(args);
    const child = execa(file, argv, {
      // A command may end before it reads its input; an empty pipe would then break.
      ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
      timeout: (options.timeoutSeconds ?? 60) * 1000,
      reject: false,
      ...withOwnEnvironment(),
    });
    const end = () => child.kill();
    options.signal?.addEventListener("abort", end);
    const result = await child;
    options.signal?.removeEventListener("abort", end);
    if (!result.failed) return result.stdout;
    const words = (result.stderr ?? "").trim() || (result as { shortMessage?: string }).shortMessage;
    throw new EngineError(`docker ${args[0]}: ${words}`);
  }

  /** Streams a docker command's output to a reader as bytes: an image can be larger than memory. */
  async stream<T>(
    args: readonly string[],
    read: (output: AsyncIterable<Uint8Array>) => Promise<T>,
    options: { timeoutSeconds?: number } = {},
  ): Promise<T> {
    const [file, argv] = this.commandLine(args);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, {
      stdin: "ignore",
      buffer: false,
      timeout,
      reject: false,
      ...withOwnEnvironment(),
    });
    const [outcome, words, result] = await Promise.all([
      read(must(child.stdout, "output of docker")).then(
        (value) => ({ value }),
        (cause: Error) => ({ cause }),
      ),
      text(must(child.stderr, "error output of docker")),
      child,
    ]);
    if (result.failed) {
      const { shortMessage } = result as { shortMessage?: string };
      throw new EngineError(`docker ${args[0]}: ${words.trim() || shortMessage}`);
    }
    if ("cause" in outcome) throw outcome.cause;
    return outcome.value;
  }

  /** Loads an image archive from a stream. */
  async load(archive: AsyncIterable<Uint8Array>, options: { timeoutSeconds?: number } = {}): Promise<void> {
    const [file, argv] = this.commandLine(["image", "load", "--quiet"]);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, {
      input: Readable.from(archive),
      timeout,
      reject: false,
      ...withOwnEnvironment(),
    });
    const { failed, stderr, shortMessage } = (await child) as Awaited<typeof child> & {
      shortMessage?: string;
    };
    if (failed) throw new EngineError(`docker image load: ${stderr.trim() || shortMessage}`);
  }

  /**
   * @throws EngineError if the engine's machine does not answer within a few seconds, whatever the state of
   * its engine
   */
  async assertAnswers(timeoutSeconds = 7): Promise<void> {
    const [file, args] = this.wrap(["true"]);
    const { failed } = await execa(file, args, {
      stdin: "ignore",
      timeout: timeoutSeconds * 1000,
      reject: false,
      ...withOwnEnvironment(),
    });
    if (failed) throw new EngineError("no answer");
  }

  /**
   * Runs a shell script on the engine's machine and waits for its end.
   *
   * @param options.heard receives standard error as it comes
   * @throws EngineError with the script's standard error
   */
  async script(
    script: string,
    {
      input,
      minutes = 5,
      heard,
    }: { input?: string | Readable; minutes?: number; heard?: (said: Uint8Array) => void } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    const [file, args] = this.wrap(["sh", "-euc", script]);
    // A script may end before it reads its input. An empty pipe would then break, and the script's own
    // message would be lost.
    const stdin = input === undefined ? { stdin: "ignore" as const } : { input };
    const child = execa(file, args, {
      ...stdin,
      timeout: minutes * 60_000,
      reject: false,
      ...withOwnEnvironment(),
    });
    if (heard) child.stderr?.on("data", heard);
    const result = await child;
    if (!result.failed) return result;
    const { shortMessage } = result as { shortMessage?: string };
    // Node's message begins with the whole script. Show standard error instead.
    throw new EngineError(result.stderr.trim() || shortMessage?.split(": ")[0] || "failed");
  }

  /** Whether the engine's machine is another one, reached over ssh. */
  get isElsewhere(): boolean {
    return this.target.ssh !== undefined;
  }

  /** The command line of a shell script on the engine's machine, for a process that outlives this one. */
  scriptLine(script: string): [file: string, args: string[]] {
    return this.wrap(["sh", "-c", script]);
  }

  protected async shell(argv: CommandLine): Promise<string> {
    const [file, args] = this.wrap(argv);
    return (await execa(file, args, { timeout: 60_000, ...withOwnEnvironment() })).stdout;
  }

  /** The command line of a docker command: file and arguments. */
  commandLine(args: readonly string[]): [string, string[]] {
    return this.wrap(["docker", ...args]);
  }

  protected wrap(argv: CommandLine): [string, string[]] {
    const { ssh } = this.target;
    if (!ssh) {
      const [file, ...args] = argv;
      return [file, args];
    }
    return ["ssh", [...ssh.options, "-p", String(ssh.port), ssh.destination, argv.map(quote).join(" ")]];
  }
}

/** A program and its arguments. */
type CommandLine = readonly [string, ...string[]];

/** Quotes an argument for a POSIX shell; ssh passes commands to one. */
export function quote(argument: string): string {
  return /^[A-Za-z0-9_/:=.,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
