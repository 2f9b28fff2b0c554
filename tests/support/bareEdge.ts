import { randomBytes } from "node:crypto";
import execa from "execa";
import { caddyfile, type Site } from "../../edge/caddy";
import { START } from "../../edge/size";
import { EDGE_IMAGE } from "../../engine/edgeNames";

const RELEASE_FILE = "/edge/release-1";
const PORT = 8000;

/** An edge as a deploy makes it and one container behind it, without a stack: for what happens between the two. */
export class BareEdge {
  private constructor(
    readonly id: string,
    /** Where the edge answers. */
    readonly address: string,
    private readonly program: string,
  ) {}

  /**
   * @param program the backend: a program for node that listens on the port PORT
   * @param memoryMb the edge's memory
   */
  static async start(
    program: string,
    { memoryMb = 256, ...site }: Site = {},
    text: (text: string) => string = (own) => own,
  ): Promise<BareEdge> {
    const id = `edge-test-${randomBytes(4).toString("hex")}`;
    await execa("docker", ["network", "create", id]);
    const route = { name: "app", port: PORT, route: "/", version: "/version", assets: {} };
    const config = text(caddyfile([route], { ...site, memoryMb }, RELEASE_FILE));
    const script = `mkdir -p /edge; printf %s "$CONFIG" > /edge/Caddyfile; printf 1 > ${RELEASE_FILE}; ${START}`;
    const limits = ["--memory", `${memoryMb}m`, "--memory-swap", `${memoryMb}m`];
    const dns = ["--dns-opt", "timeout:1", "--dns-opt", "attempts:3"];
    const run = ["run", "--detach", "--name", id, "--network", id, ...limits, ...dns];
    await execa("docker", [...run, "--env", `CONFIG=${config}`, EDGE_IMAGE, "sh", "-c", script]);
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    const { stdout } = await execa("docker", ["inspect", "--format", format, id]);
    const edge = new BareEdge(id, stdout, program);
    try {
      await edge.startApp();
      return edge;
    } catch (cause) {
      await edge.remove();
      throw cause;
    }
  }

  get url(): string {
    return `http://${this.address}`;
  }

  /** The name of its own container. */
  get name(): string {
    return this.id;
  }

  /** The name of the container behind it. */
  get app(): string {
    return `${this.id}-app`;
  }

  /** Starts the container behind it, which ended for good, and waits until it answers through the edge. */
  async startApp(): Promise<void> {
    const network = ["--network", this.id, "--network-alias", "app-1"];
    const run = ["run", "--detach", "--name", this.app, ...network, "--restart", "always", "--init"];
    await execa("docker", [
      ...run,
      "--env",
      `PORT=${PORT}`,
      "node:24-bookworm-slim",
      "node",
      "-e",
      this.program,
    ]);
    for (;;) {
      const answer = await fetch(this.url, { signal: AbortSignal.timeout(60_000) }).catch(() => undefined);
      if (answer?.status === 200) return;
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }

  /** Ends the app's process at once, which its engine starts again. */
  async killApp(): Promise<void> {
    const { stdout } = await execa("docker", ["inspect", "--format", "{{.State.Pid}}", this.app]);
    process.kill(Number(stdout), "SIGKILL");
  }

  /** Stops all that runs in the app's container, for some seconds. */
  async freezeApp(seconds: number): Promise<void> {
    // An engine on a busy machine does not always succeed at once.
    while ((await execa("docker", ["pause", this.app], { reject: false })).exitCode !== 0);
    await new Promise((resume) => setTimeout(resume, seconds * 1000));
    while ((await execa("docker", ["unpause", this.app], { reject: false })).exitCode !== 0);
  }

  /** Whether the edge runs as it was started. */
  async isAlive(): Promise<boolean> {
    const format = "{{.State.Running}} {{.State.OOMKilled}}";
    return (await execa("docker", ["inspect", "--format", format, this.id])).stdout === "true false";
  }

  async remove(): Promise<void> {
    await execa("docker", ["rm", "--force", "--volumes", this.id, this.app], { reject: false });
    await execa("docker", ["network", "rm", this.id]);
  }
}
