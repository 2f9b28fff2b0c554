import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import execa from "execa";
import { TestRegistry } from "./registry";

/** How long an engine, a registry or a Swarm may take to come to a state. */
const PATIENCE_MS = 60_000;
/** What the nodes of a Swarm say to each other: the managers' API, gossip, and the overlay's packets. */
const CONTROL = ["tcp 2377", "tcp 7946", "udp 7946", "udp 4789"];

/** Nothing that is started outlives this process; what runs in it has its mounts and processes to itself. */
const CONTAINED = [
  ...["setpriv", "--pdeathsig", "KILL"],
  ...["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"],
];
/** An engine that finds a containerd of the machine would share it, and its containers with it. */
const OWN_CONTAINERD =
  'hostname "$0"; [ ! -d /run/containerd ] || mount -t tmpfs tmpfs /run/containerd; exec "$@"';

/** One engine of the Swarm, in a network namespace and with a data root of its own. */
export class SwarmNode {
  private child: ChildProcess | undefined;

  constructor(
    /** Also its host name in the Swarm. */
    readonly name: string,
    /** Where the others, and this machine, reach it. */
    readonly address: string,
    private readonly folder: string,
    /** The near end of its pair: without it the node hears and says nothing. */
    private readonly link: string,
    private readonly flags: readonly string[],
  ) {
    mkdirSync(folder);
  }

  /** What DOCKER_HOST has to be. */
  get host(): string {
    return `unix://${this.folder}/docker.sock`;
  }

  /** Runs the docker CLI on this node. */
  async docker(...args: string[]): Promise<string> {
    return (await execa("docker", ["--host", this.host, ...args])).stdout;
  }

  /** Runs a program in the node's network. */
  async inNetwork(...argv: string[]): Promise<string> {
    return (await execa("nsenter", [`--net=/run/netns/${this.name}`, ...argv])).stdout;
  }

  async start(): Promise<void> {
    const log = join(this.folder, "dockerd.log");
    const file = openSync(log, "a");
    const paths = {
      "data-root": join(this.folder, "data"),
      "exec-root": join(this.folder, "exec"),
      pidfile: join(this.folder, "docker.pid"),
      host: this.host,
    };
    const flags = Object.entries(paths).map(([flag, value]) => `--${flag}=${value}`);
    const dockerd = ["nsenter", `--net=/run/netns/${this.name}`, "dockerd"];
    const argv = [...CONTAINED, "sh", "-c", OWN_CONTAINERD, this.name, ...dockerd, ...flags, ...this.flags];
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", file, file] });
    this.child = child;
    await until(`the engine of ${this.name}`, async () => {
      if (child.exitCode !== null) throw new Error(readFileSync(log, "utf8").slice(-2000));
      return !(await execa("docker", ["--host", this.host, "version"], { reject: false })).failed;
    });
  }

  /** Ends it as a machine ends that loses its power: engine, containers and all, from one moment to the next. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    // The kernel ends its containers a moment later: until then they must not be heard.
    await execa("ip", ["link", "set", this.link, "down"]);
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Cuts it off from the other nodes; what it publishes is reached on. */
  async partition(): Promise<void> {
    await this.rules("-I");
  }

  async heal(): Promise<void> {
    await this.rules("-D");
  }

  private async rules(change: "-I" | "-D"): Promise<void> {
    for (const [protocol, port] of CONTROL.map((each) => each.split(" ") as [string, string]))
      for (const chain of ["INPUT", "OUTPUT"])
        for (const end of ["--dport", "--sport"])
          await this.inNetwork("iptables", change, chain, "-p", protocol, end, port, "-j", "DROP");
  }
}

/**
 * Engines of the test's own, joined to one Swarm, with a registry that all of them reach. The machine's engine is asked for
 * images alone.
 */
export class TestSwarm {
  readonly nodes: SwarmNode[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-swarm-"));
  private readonly id = Math.random().toString(36).slice(2, 7).padEnd(5, "0");
  private readonly subnet = `198.19.${Math.floor(Math.random() * 256)}`;
  private readonly undo: (() => Promise<unknown>)[] = [];
  private port = 0;

  private constructor() {}

  static async start(nodes: number): Promise<TestSwarm> {
    const swarm = new TestSwarm();
    try {
      await swarm.makeNetwork();
      const registry = await TestRegistry.start({ host: `${swarm.subnet}.1`, isOpen: true });
      swarm.port = registry.port;
      swarm.undo.push(() => registry.remove());
      for (let number = 1; number <= nodes; number++) await swarm.addNode(number);
      // A lost node is reported after three of them, by default fifteen seconds.
      const heartbeat = ["--dispatcher-heartbeat", "3s"];
      await swarm.manager.docker("swarm", "init", ...heartbeat, ...swarm.at(swarm.manager));
      for (const node of swarm.nodes.slice(1)) await swarm.join(node);
      return swarm;
    } catch (cause) {
      await swarm.remove();
      throw cause;
    }
  }

  get manager(): SwarmNode {
    return this.nodes[0]!;
  }

  /** The registry as every node reaches it: address:port. */
  get registry(): string {
    return `${this.subnet}.1:${this.port}`;
  }

  /** Makes one more node, which is not yet in the Swarm. */
  async addNode(number = this.nodes.length + 1): Promise<SwarmNode> {
    const ip = (...args: string[]) => execa("ip", args);
    const name = `wps-${this.id}-${number}`;
    const [near, far] = [`wps${this.id}h${number}`, `wps${this.id}n${number}`];
    await ip("netns", "add", name);
    this.undo.push(() => ip("netns", "delete", name));
    await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
    this.undo.push(() => ip("link", "delete", near));
    await ip("link", "set", near, "master", this.bridge, "up");
    const address = `${this.subnet}.${number + 1}`;
    await ip("-netns", name, "address", "add", `${address}/24`, "dev", far);
    await ip("-netns", name, "link", "set", far, "up");
    await ip("-netns", name, "link", "set", "lo", "up");
    await ip("-netns", name, "route", "add", "default", "via", `${this.subnet}.1`);
    const flags = [`--registry-mirror=http://${this.registry}`, `--insecure-registry=${this.registry}`];
    const node = new SwarmNode(name, address, join(this.folder, String(number)), near, flags);
    this.nodes.push(node);
    this.undo.push(() => node.kill());
    await node.start();
    return node;
  }

  /** Joins a node to the Swarm, as a worker. */
  async join(node: SwarmNode): Promise<void> {
    const token = await this.manager.docker("swarm", "join-token", "--quiet", "worker");
    const args = ["--token", token.trim(), ...this.at(node), `${this.manager.address}:2377`];
    await node.docker("swarm", "join", ...args);
  }

  /** Takes an image of the machine's engine to the manager alone, where a service of one node runs it by its ID. */
  async load(images: readonly string[]): Promise<void> {
    const load = 'docker save "$@" | docker --host "$ENGINE" load';
    await execa("sh", ["-c", load, "sh", ...images], { env: { ENGINE: this.manager.host } });
  }

  /**
   * Takes images of the machine's engine into the registry, where plain pulls find them.
   *
   * @returns for each the reference that a service takes, `address/name@sha256:…`
   */
  async publish(images: readonly string[]): Promise<string[]> {
    await this.load(images);
    const references: string[] = [];
    for (const image of images) {
      const name = `${this.registry}/library/${image}`;
      await this.manager.docker("image", "tag", image, name);
      await this.manager.docker("push", "--quiet", name);
      const format = "{{index .RepoDigests 0}}";
      references.push(await this.manager.docker("image", "inspect", "--format", format, name));
      await this.manager.docker("image", "rm", name);
    }
    return references;
  }

  /** Ends and removes all of it; works half made too. */
  async remove(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.undo.splice(0).reverse()) await step().catch((cause) => failures.push(cause));
    if (failures.length > 0) throw failures[0];
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get bridge(): string {
    return `wps${this.id}br`;
  }

  private at({ address }: SwarmNode): string[] {
    return ["--advertise-addr", address, "--listen-addr", `${address}:2377`];
  }

  private async makeNetwork(): Promise<void> {
    await execa("ip", ["link", "add", this.bridge, "type", "bridge"]);
    this.undo.push(() => execa("ip", ["link", "delete", this.bridge]));
    await execa("ip", ["address", "add", `${this.subnet}.1/24`, "dev", this.bridge]);
    await execa("ip", ["link", "set", this.bridge, "up"]);
    // Where the machine has an engine, what it does not know is not forwarded.
    const rule = ["FORWARD", "-i", this.bridge, "-o", this.bridge, "-j", "ACCEPT"];
    await execa("iptables", ["-I", ...rule]);
    this.undo.push(() => execa("iptables", ["-D", ...rule]));
  }
}

/** Waits for a state. */
export async function until(
  what: string,
  good: () => Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  for (const deadline = Date.now() + patienceMs; !(await good()); ) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs / 1000} s`);
    await new Promise((resume) => setTimeout(resume, 100));
  }
}
