import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { localSocket } from "../../engine/dial";

/** A socket before the engine's own: what goes to the engine can be seen and delayed, whoever sends it. */
export class EngineProxy {
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-proxy-"));
  private readonly socket = join(this.folder, "docker.sock");
  private readonly connections = new Set<Socket>();
  private before: ((request: string) => Promise<void>) | undefined;

  private constructor(
    private readonly server: Server,
    private readonly engine: string,
  ) {}

  static async start(): Promise<EngineProxy> {
    const engine = localSocket();
    if (engine === undefined) throw new Error("the engine of the tests has no socket of this machine");
    const server = createServer({ allowHalfOpen: true }, (near) => proxy.forward(near));
    const proxy = new EngineProxy(server, engine);
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

  /** A client sends a request once the last one is answered: each starts a chunk of its own. */
  private forward(near: Socket): void {
    const far = connect({ path: this.engine, allowHalfOpen: true });
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
