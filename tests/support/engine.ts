import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import execa from "execa";
import { holds } from "../../cli/locks";
import { descendants, kill } from "./processes";

/** How long an engine may take to start, and to stop with its containers. */
const PATIENCE_MS = 60_000;

/** Ends an engine's process, at the latest after a minute. */
export async function endEngine(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * A Docker engine of the test's own, beside the machine's: its disk is as small as a test wants it.
 *
 * It has a network namespace of its own, so that neither touches the other's firewall; what it publishes is reached at `address`.
 */
export class SmallEngine {
  readonly folder = mkdtempSync(join(tmpdir(), "watch-party-engine-"));
  private readonly id = Math.random().toString(36).slice(2, 8).padEnd(6, "0");
  private readonly subnet = `198.18.${Math.floor(Math.random() * 256)}`;
  private child: ChildProcess | undefined;
  private readonly undo: (() => Promise<unknown>)[] = [];

  private constructor(private readonly liveRestore: boolean) {}

  /**
   * @param images that it has from the start, taken from the machine's engine
   * @param options.liveRestore whether its containers run on while it does not
   */
  static async start(
    mebibytes: number,
    images: readonly string[],
    { liveRestore = false }: { liveRestore?: boolean } = {},
  ): Promise<SmallEngine> {
    const engine = new SmallEngine(liveRestore);
    try {
      await engine.makeDisk(mebibytes);
      await engine.makeNetwork();
      engine.undo.push(() => engine.end());
      await engine.run();
      const load = 'docker save "$@" | docker --host "$ENGINE" load';
      await execa("sh", ["-c", load, "sh", ...images], { env: { ENGINE: engine.host } });
      return engine;
    } catch (cause) {
      await engine.remove();
      throw cause;
    }
  }

  /** What DOCKER_HOST has to be. */
  get host(): string {
    return `unix://${this.folder}/docker.sock`;
  }

  /** Where published ports are reached from this machine. */
  get address(): string {
    return `${this.subnet}.2`;
  }

  get disk(): string {
    return join(this.folder, "disk");
  }

  async docker(...args: string[]): Promise<string> {
    return (await execa("docker", ["--host", this.host, ...args])).stdout;
  }

  /** Lets the engine reach a port that this machine listens on at all addresses, at the engine's own loopback. */
  async forward(port: number): Promise<void> {
    const script = `
      const { connect, createServer } = require("node:net");
      const [host, port] = process.argv.slice(1);
      createServer((near) => {
        const far = connect(port, host);
        near.pipe(far).pipe(near);
        for (const end of [near, far]) end.on("error", () => (near.destroy(), far.destroy()));
      }).listen(port, "127.0.0.1", () => console.log("ready"));`;
    const forwarder = [process.execPath, "-e", script, `${this.subnet}.1`, String(port)];
    const child = spawn("nsenter", [`--net=/run/netns/wp-${this.id}`, ...forwarder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const end = () => child.kill();
    process.once("exit", end);
    this.undo.push(async () => {
      process.removeListener("exit", end);
      end();
    });
    await new Promise<void>((ready, failed) => {
      child.stdout.once("data", () => ready());
      child.once("error", failed);
      child.once("exit", (status) => failed(new Error(`the forwarder ended with status ${status}`)));
    });
  }

  /** Leaves this much of the disk free, until `empty`. */
  async fill(freeMebibytes: number): Promise<void> {
    const { stdout } = await execa("df", ["--output=avail", "--block-size=1M", this.disk]);
    const free = Number(stdout.split("\n")[1]);
    await execa("fallocate", ["--length", `${free - freeMebibytes}MiB`, join(this.disk, "filler")]);
  }

  empty(): void {
    rmSync(join(this.disk, "filler"), { force: true });
  }

  /** Ends the engine and takes away its disk and its network; works half made too. */
  async remove(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.undo.splice(0).reverse()) await step().catch((cause) => failures.push(cause));
    if (failures.length > 0) throw failures[0];
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async makeDisk(mebibytes: number): Promise<void> {
    mkdirSync(this.disk);
    await execa("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", this.disk]);
    this.undo.push(() => execa("umount", ["--recursive", this.disk]));
  }

  private async makeNetwork(): Promise<void> {
    const ip = (...args: string[]) => execa("ip", args);
    const [name, near, far] = [`wp-${this.id}`, `wp-${this.id}h`, `wp-${this.id}e`];
    await ip("netns", "add", name);
    this.undo.push(() => ip("netns", "delete", name));
    await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
    // The pair goes when either end does; a namespace can live on for a moment after its name is gone.
    this.undo.push(() => ip("link", "delete", near));
    await ip("address", "add", `${this.subnet}.1/30`, "dev", near);
    await ip("link", "set", near, "up");
    await ip("-netns", name, "address", "add", `${this.subnet}.2/30`, "dev", far);
    await ip("-netns", name, "link", "set", far, "up");
    await ip("-netns", name, "link", "set", "lo", "up");
  }

  /** Kills the engine, as the kernel does when memory is short, and starts it again as an init system does. */
  async killAndRestart(): Promise<void> {
    const { child } = this;
    if (!child) throw new Error("the engine does not run");
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await closed;
    await this.containerdEnded();
    await this.run();
  }

  /**
   * A containerd of the engine's own ends with it, a moment later. A new engine takes a number that is still in use for one
   * that runs; an unreaped process would look the same.
   */
  private async containerdEnded(): Promise<void> {
    const file = join(this.folder, "exec", "containerd", "containerd.pid");
    if (!existsSync(file)) return;
    const pid = Number(readFileSync(file, "utf8"));
    const since = new Date().toISOString();
    for (const deadline = Date.now() + PATIENCE_MS; holds({ pid, since }); ) {
      if (Date.now() > deadline) throw new Error("the containerd of a killed engine goes on");
      await new Promise((resume) => setTimeout(resume, 5));
    }
    rmSync(file, { force: true });
  }

  private async run(): Promise<void> {
    const name = `wp-${this.id}`;
    const log = join(this.folder, "dockerd.log");
    const file = openSync(log, "a");
    const flags = {
      "data-root": join(this.disk, "docker"),
      "exec-root": join(this.folder, "exec"),
      pidfile: join(this.folder, "docker.pid"),
      host: this.host,
      "live-restore": String(this.liveRestore),
      // Where a containerd of the machine is found it is shared: then each engine keeps to its own names.
      "containerd-namespace": name,
      "containerd-plugins-namespace": `${name}-plugins`,
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    // nsenter becomes dockerd: the process that is started is the one to end.
    const child = spawn("nsenter", [`--net=/run/netns/${name}`, "dockerd", ...args], {
      stdio: ["ignore", file, file],
    });
    closeSync(file);
    this.child = child;
    const end = () => child.kill();
    process.once("exit", end);
    child.once("close", () => process.removeListener("exit", end));
    for (const deadline = Date.now() + PATIENCE_MS; ; ) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the test's own engine did not start:\n${readFileSync(log, "utf8").slice(-2000)}`);
      const answer = await execa("docker", ["--host", this.host, "version"], { reject: false });
      if (!answer.failed) return;
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }

  private async end(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    // Its containers go first: the engine would give each of them ten seconds.
    const containers = await execa("docker", ["--host", this.host, "container", "ls", "--all", "--quiet"], {
      reject: false,
    });
    const ids = containers.stdout.split("\n").filter((each) => each !== "");
    if (ids.length > 0)
      await execa("docker", ["--host", this.host, "container", "rm", "--force", ...ids], { reject: false });
    await endEngine(child);
    // Of a container that was being started when its engine was killed the shim goes on alone.
    kill((await descendants(1)).filter(({ args }) => args.includes(` -namespace wp-${this.id} `)));
  }
}
