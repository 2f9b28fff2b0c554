import type { ChildProcessByStdio } from "node:child_process";
import { Agent, type ClientRequestArgs } from "node:http";
import { Socket } from "node:net";
import { Duplex, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { chosenContext } from "./context";
import { AT_ENGINE, CONNECTION_ENDED } from "./problems";

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
    if (error && "syscall" in error) error.message = `${AT_ENGINE} ${this.at}: ${error.message}`;
    super._destroy(error, done);
  }
}

/** How long a connection that broke may take to say why. */
const LAST_WORDS_MS = 2000;

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

export type Dialled = ChildProcessByStdio<Writable, Readable, Readable>;
