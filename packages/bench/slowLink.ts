import { connect, createServer, type Server, type Socket } from "node:net";

/** A TCP port in front of another one, as far away as a link with latency makes it. It needs nothing of the kernel. */
export class SlowLink {
  private readonly sockets = new Set<Socket>();
  /** Milliseconds there and back; what is on its way keeps the delay that it set out with. */
  roundTripMs = 0;

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {}

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
    this.carry(near, far, opened);
    this.carry(far, near, opened);
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

  /** Passes on what comes, in its order, half a round trip later. */
  private carry(from: Socket, to: Socket, notBefore: number): void {
    let last = notBefore;
    const later = (pass: () => void) => {
      last = Math.max(last, performance.now() + this.roundTripMs / 2);
      setTimeout(pass, Math.max(0, last - performance.now()));
    };
    from.on("data", (chunk) => later(() => void (to.destroyed || to.write(chunk))));
    from.on("end", () => later(() => void to.end()));
  }

  async remove(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
