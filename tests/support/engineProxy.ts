import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";

/** The machine's engine. */
const ENGINE = "/var/run/docker.sock";

/** A socket before the engine's own: what goes to the engine can be seen and delayed, whoever sends it. */
export class EngineProxy {
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-proxy-"));
  private readonly socket = join(this.folder, "docker.sock");
  private readonly connections = new Set<Socket>();
  private before: ((request: string) => Promise<void>) | undefined;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<EngineProxy> {
    const server = createServer({ allowHalfOpen: true }, (near) => proxy.forward(near));
    const proxy = new EngineProxy(server);
    await new Promise<void>((resolve) => server.listen(proxy.socket, resolve));
    return proxy;
  }

  /** What DOCKER_HOST has to be. */
  get host(): string {
    return `unix://${this.socket}`;
  }

  /**
   * @param work done before each request goes on to the engine; `request` is its first line, decoded. `undefined`: nothing
   */
  beforeEach(work: ((request: string) => Promise<void>) | undefined): void {
    this.before = work;
  }

  /** Clients send a request only after the last answer, so each starts in its own chunk. */
  private forward(near: Socket): void {
    const far = connect({ path: ENGINE, allowHalfOpen: true });
    const seen = async (chunk: Buffer) => {
      const request = /^[A-Z]+ \/\S+ HTTP\/1\.1/.exec(chunk.toString("latin1"))?.[0];
      if (request !== undefined) await this.before?.(decodeURIComponent(request));
      return chunk;
    };
    const watch = new Transform({
      transform: (chunk, _, done) => void seen(chunk).then((same) => done(null, same), done),
    });
    far.pipe(near);
    near.pipe(watch).pipe(far);
    const end = () => {
      near.destroy();
      far.destroy();
    };
    watch.on("error", end);
    for (const socket of [near, far]) {
      this.connections.add(socket);
      socket.on("error", end);
      socket.on("close", () => this.connections.delete(socket));
    }
  }

  async remove(): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
