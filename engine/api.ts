import { spawn } from "node:child_process";
import { type IncomingMessage, request } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { childEnvironment } from "../config/environment";
import { DialingAgent } from "./dial";
import { EngineError } from "./problems";

/** Maximum concurrent connections to an engine of this machine, where processor time limits a deploy. */
const CONNECTIONS = 3;
/** The same over a link, where waiting does. Over SSH they share one login's ten sessions with commands. */
const DIALLED = 6;
/** Of those, how many are opened ahead. */
const OPENED_AHEAD = 4;

/** Options of a request. */
export interface ApiQuestion {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A tar archive, streamed as the body. */
  readonly archive?: Readable;
  /** Default: 60. */
  readonly timeoutSeconds?: number;
}

/** An error response of the engine. */
export class ApiError extends EngineError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Returns undefined for a 404; rethrows any other failure. */
export function ignoreUnknown(cause: Error): undefined {
  if (cause instanceof ApiError && cause.status === 404) return undefined;
  throw cause;
}

/**
 * Client of the Docker Engine API. It connects to the local socket, or through a command such as the docker CLI uses, and keeps
 * connections open. A request costs a twentieth of a docker command, because no process starts.
 *
 * Paths name no API version, so that each engine speaks its own. The endpoints used here exist in all versions.
 */
export class EngineApi {
  private readonly agent: DialingAgent;

  /**
   * @param dial the command line that connects its standard input and output to the engine
   * @param socket the socket to use instead of a process
   */
  constructor(dial: () => readonly [string, readonly string[]], socket?: string) {
    const connect = () => {
      const [file, args] = dial();
      return spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: childEnvironment("docker") });
    };
    this.agent = new DialingAgent(connect, socket === undefined ? DIALLED : CONNECTIONS, socket);
  }

  /** Opens connections over a link before the first requests, which then do not wait for them one after the other. */
  openAhead(): void {
    this.agent.open(OPENED_AHEAD);
  }

  /**
   * @returns the JSON of the answer, undefined for an empty one
   * @throws ApiError with the engine's message; EngineError with the CLI's or ssh's message if the engine
   * cannot be reached
   */
  async ask<T>(method: "GET" | "POST" | "DELETE", path: string, question: ApiQuestion = {}): Promise<T> {
    const answer = await this.receive(method, path, question, text);
    return (answer === "" ? undefined : JSON.parse(answer)) as T;
  }

  /** Like `ask`, but returns undefined for a 404. */
  async find<T>(path: string, question?: ApiQuestion): Promise<T | undefined> {
    return this.ask<T>("GET", path, question).catch(ignoreUnknown);
  }

  /**
   * Streams an answer to a reader, with its headers.
   *
   * @returns what the reader returns
   * @throws as `ask` does, also if the answer breaks off; what the reader throws
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
      // Drain the rest, so that the connection is free for the next request.
      answer.resume();
      return found;
    } catch (cause) {
      // Node reports that the answer broke off; the connection reports why.
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
          agent: this.agent,
          method,
          path: search === "" ? path : `${path}?${search}`,
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
