import { connect, createServer, type Server, type Socket } from "node:net";

/** How often what is held may be passed on. */
const PACE_MS = 10;

/** A TCP port in front of another one, as far away as a link with latency makes it. It needs nothing of the kernel. */
export class SlowLink {
  private readonly sockets = new Set<Socket>();
  /** Milliseconds there and back; what is on its way keeps the delay that it set out with. */
  roundTripMs = 0;
  /**
   * How many round trips waited for one another since `countRounds`. What comes from the server is held until the client has
   * said nothing for a while: what it asks at the same time, on whatever connection, is one round, however slow the machine is.
   */
  rounds = 0;
  private quietMs: number | undefined;
  private held: (() => void)[] = [];
  private lastMoment = 0;
  private isAnswered = true;
  private readonly pace: NodeJS.Timeout;

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    this.pace = setInterval(() => {
      const waits = this.quietMs !== undefined && performance.now() - this.lastMoment < this.quietMs;
      if (!waits) this.release();
    }, PACE_MS);
  }

  /** @param target the port on the loopback address that it leads to */
  static async start(target: number): Promise<SlowLink> {
    const server = createServer({ allowHalfOpen: true }, (near) => link.join(near));
    const link = new SlowLink(server, target);
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    return link;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  private join(near: Socket): void {
    // The handshake is a round trip of its own.
    const far = connect({ host: "127.0.0.1", port: this.target, allowHalfOpen: true });
    const opened = performance.now() + this.roundTripMs;
    this.carry(near, far, opened, true);
    this.carry(far, near, opened, false);
    const end = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end);
      socket.on("close", () => this.sockets.delete(socket));
    }
  }

  /** Counts round trips from now on, instead of delaying them. @param quietMs what a client that has nothing to say is quiet for */
  countRounds(quietMs: number | undefined): void {
    this.rounds = 0;
    this.isAnswered = true;
    this.quietMs = quietMs;
  }

  private release(): void {
    if (this.held.length === 0) return;
    const all = this.held;
    this.held = [];
    for (const pass of all) pass();
    this.isAnswered = true;
    this.lastMoment = performance.now();
  }

  private hear(): void {
    if (this.isAnswered) this.rounds += 1;
    this.isAnswered = false;
    this.lastMoment = performance.now();
  }

  /** Passes on what comes, in its order, half a round trip later. */
  private carry(from: Socket, to: Socket, notBefore: number, isClient: boolean): void {
    let last = notBefore;
    const later = (pass: () => void) => {
      if (this.quietMs !== undefined && !isClient) {
        this.held.push(pass);
        return;
      }
      last = Math.max(last, performance.now() + this.roundTripMs / 2);
      setTimeout(pass, Math.max(0, last - performance.now()));
    };
    from.on("data", (chunk) => {
      if (isClient) this.hear();
      later(() => void (to.destroyed || to.write(chunk)));
    });
    from.on("end", () => later(() => void to.end()));
  }

  async remove(): Promise<void> {
    clearInterval(this.pace);
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
