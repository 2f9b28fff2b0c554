import type { ChildProcessByStdio } from "node:child_process";
import { Agent, type ClientRequestArgs } from "node:http";
import { Socket } from "node:net";
import { Duplex, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { chosenContext } from "./context";
import { AT_ENGINE, CONNECTION_ENDED } from "./problems";

/** HTTP agent that keeps connections open: to a socket, or through processes. */
export class DialingAgent extends Agent {
  private opened: Connection[] = [];

  /**
   * @param dial starts a process that connects its standard input and output to the server
   * @param socket the socket to use instead
   */
  constructor(
    private readonly dial: () => Dialled,
    most: number,
    private readonly socket?: string,
  ) {
    super({ keepAlive: true, maxSockets: most, maxFreeSockets: most });
  }

  override createConnection(_: ClientRequestArgs): Duplex {
    const ready = this.opened.pop();
    ready?.ref();
    if (ready) return ready;
    return this.socket === undefined ? new Connection(this.dial()) : new LocalConnection(this.socket);
  }

  /** Starts processes ahead, for requests that would each wait for one. A socket needs none. */
  open(count: number): void {
    if (this.socket !== undefined) return;
    for (let at = 0; at < count; at++) {
      const connection = new Connection(this.dial());
      this.opened.push(connection);
      connection.unref();
      // The request that finds no connection dials again, and reports why that fails.
      const forget = () => {
        this.opened = this.opened.filter((each) => each !== connection);
      };
      connection.once("error", forget).once("close", forget);
    }
  }
}

/**
 * Returns the local engine's socket, if the docker CLI would use it too: from DOCKER_HOST, else from the
 * current context. Undefined if only the CLI can reach the engine.
 */
export function localSocket(env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined {
  const host = env.DOCKER_HOST || hostOf(env);
  return /^unix:\/\/(\/.+)$/.exec(host)?.[1];
}

function hostOf(env: Readonly<NodeJS.ProcessEnv>): string {
  try {
    return chosenContext(env)?.host ?? "unix:///var/run/docker.sock";
  } catch {
    // The docker CLI reports what is wrong with the context.
    return "";
  }
}

/** A socket whose errors name the engine's address. */
class LocalConnection extends Socket {
  constructor(private readonly at: string) {
    super();
    this.connect(at);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Change the error itself: Node reports the socket's own error object for an answer that breaks off.
    if (error && "syscall" in error) error.message = `${AT_ENGINE} ${this.at}: ${error.message}`;
    super._destroy(error, done);
  }
}

/** How long to wait for the reason of a broken connection. */
const LAST_WORDS_MS = 2000;

/**
 * A process's standard input and output as one stream that Node's agent accepts as a socket. An idle
 * connection does not keep the program running.
 */
class Connection extends Duplex {
  /** The agent would set it. */
  readonly timeout = 0;

  constructor(private readonly child: Dialled) {
    super();
    const { stdin, stdout, stderr } = child;
    stdout.on("data", (chunk) => {
      if (!this.push(chunk)) stdout.pause();
    });
    // The process reports why it ended.
    stdin.on("error", () => undefined);
    stdout.once("end", () => setTimeout(() => child.kill(), LAST_WORDS_MS).unref());
    // Destroy it: the agent would keep a connection that ended while idle, and the next request would hang.
    this.once("end", () => this.destroy());
    const saying = text(stderr).catch(() => "");
    child.once("error", (cause) => this.destroy(cause));
    child.once("close", async (code) => {
      const words = (await saying).trim();
      if (code === 0 && words === "") this.push(null);
      else this.destroy(new Error(words || `${CONNECTION_ENDED} ${code}`));
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
    // A process that has ended reports why a moment later.
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

export type Dialled = ChildProcessByStdio<Writable, Readable, Readable>;
