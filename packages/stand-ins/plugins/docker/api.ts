/**
 * Client for the engine's API. Connects to its socket on this machine, or through `docker system dial-stdio`, with
 * which the docker CLI connects its standard input and output to its configured engine (TLS, SSH). Unlike CLI
 * arguments, the API keeps a container's secrets out of command lines, and supports settings without a CLI option (a
 * health check without a shell).
 */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { DialingAgent, localSocket } from "../../../../engine/dial";
import { start } from "../process";
import { dockerEnvironment } from "./cli";

/** An error response of the engine. */
export class EngineError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(`Error response from daemon: ${message}`);
  }
}

export interface ApiOptions {
  /** Sent as JSON, or unchanged if it is a buffer. */
  body?: object | Buffer;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
}

/** Calls the engine. Resolves with the JSON of its response. Rejects for any status other than 2xx and 304. */
export async function api<T = unknown>(method: string, path: string, options: ApiOptions = {}): Promise<T> {
  const { status, text } = await exchange(method, path, options);
  if ((status >= 200 && status < 300) || status === 304) return (text === "" ? {} : parse(text)) as T;
  const found = parse(text) as { message?: string };
  throw new EngineError(status, found.message ?? text.trim());
}

/** `api`, but resolves with undefined if the object does not exist. */
export async function apiOrNothing<T>(
  method: string,
  path: string,
  options?: ApiOptions,
): Promise<T | undefined> {
  try {
    return await api<T>(method, path, options);
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return undefined;
    throw error;
  }
}

/** Reads a response that is a stream of JSON lines. Any line may be an error. */
export async function apiStream(method: string, path: string, options: ApiOptions = {}): Promise<void> {
  const { status, text } = await exchange(method, path, options);
  for (const line of text.split("\n").filter((part) => part.trim() !== "")) {
    const { error, message } = parse(line) as { error?: string; message?: string };
    if (error !== undefined) throw new EngineError(status, error);
    if (status >= 300) throw new EngineError(status, message ?? line);
  }
}

let kept: DialingAgent | undefined;

/** Over SSH each connection needs a login, so it is kept open for the next request. */
function connections(): DialingAgent {
  const env = dockerEnvironment();
  kept ??= new DialingAgent(() => start("docker", ["system", "dial-stdio"], { env }), 8, localSocket(env));
  return kept;
}

function exchange(
  method: string,
  path: string,
  { body, query, headers }: ApiOptions,
): Promise<{ status: number; text: string }> {
  const parameters = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(
    parameters.map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
  const payload = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const type = Buffer.isBuffer(body) ? "application/x-tar" : "application/json";
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      agent: connections(),
      method,
      host: "docker",
      path: search === "" ? path : `${path}?${search}`,
      headers: {
        ...headers,
        ...(payload === undefined ? {} : { "Content-Type": type, "Content-Length": payload.length }),
      },
    });
    request.on("response", (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.on("error", reject);
    request.end(payload);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.trim() };
  }
}
