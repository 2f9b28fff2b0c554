import { type ChildProcessByStdio, spawn } from "node:child_process";
import { Agent, type ClientRequestArgs, type IncomingMessage, request } from "node:http";
import { Socket } from "node:net";
import { Duplex, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { childEnvironment } from "../config/environment";
import { chosenContext } from "./context";
import { EngineError } from "./problems";

/** As many questions are on their way at once; over ssh they share a login with all else, which has ten sessions. */
const CONNECTIONS = 3;

/** What goes with a question. */
export interface ApiQuestion {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A tar archive, sent in place of a body as it comes. */
  readonly archive?: Readable;
  /** Default: 60. */
  readonly timeoutSeconds?: number;
}

/** What the engine has said no to. */
export class ApiError extends EngineError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Takes what the engine does not have for undefined; any other failure is one. */
export function ignoreUnknown(cause: Error): undefined {
  if (cause instanceof ApiError && cause.status === 404) return undefined;
  throw cause;
}

/**
 * The engine's own HTTP API, over connections that last: to its socket on this machine, else such as the docker CLI makes. They
 * lead to wherever the CLI finds the engine, and a question costs a twentieth of a command, whose process takes longer than the
 * answer.
 *
 * Paths name no version of the API: each engine then speaks its own, and what is asked for here has been in all of them.
 */
export class EngineApi {
  private readonly agent: Agent;

  /**
   * @param dial the command line that connects its standard input and output to the engine
   * @param socket where no process need be between
   */
  constructor(dial: () => readonly [string, readonly string[]], socket?: string) {
    const connect = () => {
      const [file, args] = dial();
      return spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: childEnvironment("docker") });
    };
    this.agent = new DialingAgent(connect, CONNECTIONS, socket);
  }

  /**
   * @returns the JSON of the answer, undefined where there is none
   * @throws ApiError with the engine's words; EngineError with the CLI's or ssh's where the engine cannot be reached
   */
  async ask<T>(method: "GET" | "POST" | "DELETE", path: string, question: ApiQuestion = {}): Promise<T> {
    const answer = await this.receive(method, path, question, text);
    return (answer === "" ? undefined : JSON.parse(answer)) as T;
  }

  /** The same, or undefined for what the engine does not have. */
  async find<T>(path: string, question?: ApiQuestion): Promise<T | undefined> {
    return this.ask<T>("GET", path, question).catch(ignoreUnknown);
  }

  /**
   * Hands an answer to a reader as it comes, with its headers.
   *
   * @returns what the reader makes of it
   * @throws as `ask` does, also where the answer breaks off; what the reader throws
   */
  async receive<T>(
    method: string,
    path: string,
    question: ApiQuestion,
    read: (answer: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    const { timeoutSeconds = 60 } = question;
    const answer = await this.send(method, path, question, timeoutSeconds);
    try {
      const { statusCode: status = 0 } = answer;
      if (status >= 400) throw new ApiError(status, `docker: ${messageOf(await text(answer))}`);
      const found = await read(answer);
      // What was not read makes room for the next question.
      answer.resume();
      return found;
    } catch (cause) {
      // Node says of an answer that it breaks off, its connection why.
      const why = answer.errored && (answer.socket.errored ?? new Error("socket hang up"));
      answer.destroy();
      throw why ? unanswered(why, timeoutSeconds) : cause;
    }
  }

  private send(
    method: string,
    path: string,
    { query = {}, body, archive }: ApiQuestion,
    timeoutSeconds: number,
  ): Promise<IncomingMessage> {
    const content = body === undefined ? "" : JSON.stringify(body);
    const search = new URLSearchParams(query).toString();
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          ...{ agent: this.agent, method, path: search === "" ? path : `${path}?${search}` },
          headers: {
            host: "docker",
            ...(content === "" ? {} : { "content-type": "application/json" }),
            ...(archive
              ? { "content-type": "application/x-tar" }
              : { "content-length": Buffer.byteLength(content) }),
          },
          signal: AbortSignal.timeout(timeoutSeconds * 1000),
        },
        resolve,
      );
      asked.once("error", (cause) => reject(unanswered(cause, timeoutSeconds)));
      if (archive) archive.pipe(asked);
      else asked.end(content);
    });
  }
}

function unanswered({ name, message }: Error, timeoutSeconds: number): EngineError {
  return new EngineError(
    `docker: ${name === "AbortError" ? `no answer within ${timeoutSeconds} s` : message}`,
  );
}

function messageOf(said: string): string {
  try {
    return (JSON.parse(said) as { message?: string }).message ?? said;
  } catch {
    return said.trim();
  }
}

type Dialled = ChildProcessByStdio<Writable, Readable, Readable>;

/** Node's HTTP client over connections to a socket, or such as processes make, each of which is kept for the next request. */
export class DialingAgent extends Agent {
  /**
   * @param dial starts a process that connects its standard input and output to the server
   * @param socket takes its place
   */
  constructor(
    private readonly dial: () => Dialled,
    most: number,
    private readonly socket?: string,
  ) {
    super({ keepAlive: true, maxSockets: most, maxFreeSockets: most });
  }

  override createConnection(_: ClientRequestArgs): Duplex {
    return this.socket === undefined ? new Connection(this.dial()) : new LocalConnection(this.socket);
  }
}

/**
 * The socket of this machine's engine, where the docker CLI would ask that engine too: by DOCKER_HOST, else by the context that is
 * chosen. Undefined where only the CLI knows the way.
 */
export function localSocket(env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined {
  const host = env.DOCKER_HOST || hostOf(env);
  return /^unix:\/\/(\/.+)$/.exec(host)?.[1];
}

function hostOf(env: Readonly<NodeJS.ProcessEnv>): string {
  try {
    return chosenContext(env)?.host ?? "unix:///var/run/docker.sock";
  } catch {
    // The CLI says what is wrong with the context.
    return "";
  }
}

/** What goes wrong with it tells what it was a connection to. */
class LocalConnection extends Socket {
  constructor(private readonly at: string) {
    super();
    this.connect(at);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // The error itself: an answer that breaks off is told by what the socket keeps of it.
    if (error && "syscall" in error) error.message = `engine at ${this.at}: ${error.message}`;
    super._destroy(error, done);
  }
}

/** How long a connection that broke may take to say why. */
const LAST_WORDS_MS = 2_000;

/**
 * A process's standard input and output as one stream, which ends with it; with what Node's agent asks of a socket. An idle one
 * keeps no program from its end.
 */
class Connection extends Duplex {
  /** What the agent would set. */
  readonly timeout = 0;

  constructor(private readonly child: Dialled) {
    super();
    const { stdin, stdout, stderr } = child;
    stdout.on("data", (chunk) => {
      if (!this.push(chunk)) stdout.pause();
    });
    // Why it has ended is told by the process, if it ends.
    stdin.on("error", () => undefined);
    stdout.once("end", () => setTimeout(() => child.kill(), LAST_WORDS_MS).unref());
    // One that has ended while it was idle would else be kept, and the next question would wait for ever.
    this.once("end", () => this.destroy());
    const saying = text(stderr).catch(() => "");
    child.once("error", (cause) => this.destroy(cause));
    child.once("close", async (code) => {
      const words = (await saying).trim();
      if (code === 0 && words === "") this.push(null);
      else this.destroy(new Error(words || `the connection ended with ${code}`));
    });
  }

  ref(): void {
    for (const each of this.handles()) each.ref?.();
  }

  unref(): void {
    for (const each of this.handles()) each.unref?.();
  }

  setKeepAlive(): void {}

  private handles(): { ref?(): void; unref?(): void }[] {
    const { stdin, stdout, stderr } = this.child;
    return [this.child, stdin, stdout, stderr] as { ref?(): void; unref?(): void }[];
  }

  override _read(): void {
    this.child.stdout.resume();
  }

  override _write(chunk: Uint8Array, _: string, done: (error?: Error | null) => void): void {
    // A process that has ended says why, in a moment.
    this.child.stdin.write(chunk, () => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.child.kill();
    done(error);
  }
}
