import { spawn } from "node:child_process";
import { type Agent, type IncomingMessage, request } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { childEnvironment } from "../config/environment";
import { DialingAgent } from "./dial";
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
