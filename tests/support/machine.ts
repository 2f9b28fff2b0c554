import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import execa from "execa";
import { isDebianRoot } from "../../toolchain/apt";
import { baseImages } from "../../toolchain/versions";
import { endEngine } from "./engine";

/** How long the engine may take to start. */
const PATIENCE_MS = 60_000;

/**
 * Runs in namespaces of its own: hides what the engine of this machine keeps, waits for its link to the network, and becomes
 * an engine at the default socket. $1 is the folder of its data.
 */
const ENGINE = `
set -e
mount --bind "$1" /var/lib/docker
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/lock
# A name server on loopback, or a list of them below /run, would be out of reach.
grep -q '^nameserver' /etc/resolv.conf
! grep -q '^nameserver *127[.]' /etc/resolv.conf
ip link set lo up
echo ready
read -r _
exec dockerd >&2
`;

/** A second machine to the suites: it shares this one's files and processes, and has a network and a Docker engine of its own. */
export class TestMachine {
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-machine-"));
  private readonly log = join(this.folder, "engine.log");
  private readonly undo: (() => Promise<unknown>)[] = [];
  private child: ChildProcess | undefined;

  private constructor() {}

  /**
   * Starts it with the base images of this machine's engine.
   *
   * @returns why not, where namespaces cannot be had
   */
  static async start(): Promise<TestMachine | string> {
    if (!isDebianRoot()) return "it takes root on Debian";
    if (process.env.DOCKER_HOST) return "DOCKER_HOST chooses an engine";
    const machine = new TestMachine();
    try {
      await machine.startEngine();
      return machine;
    } catch (cause) {
      const said = existsSync(machine.log) ? readFileSync(machine.log, "utf8").trim().slice(-2000) : "";
      await machine.remove();
      return `${cause instanceof Error ? cause.message : cause}\n${said}`.trim();
    }
  }

  /** The command line that runs a program there. */
  command(...argv: string[]): [string, string[]] {
    const target = ["--target", String(this.child?.pid), "--net", "--mount", `--wdns=${process.cwd()}`];
    return ["nsenter", [...target, "--", ...argv]];
  }

  async remove(): Promise<void> {
    for (const step of this.undo.splice(0).reverse()) await step();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async startEngine(): Promise<void> {
    const data = join(this.folder, "data");
    mkdirSync(data);
    mkdirSync("/var/lib/docker", { recursive: true });
    const file = openSync(this.log, "a");
    // It ends with this process. Each of these programs becomes the next: the one that is started is the engine.
    const apart = ["--pdeathsig", "TERM", "unshare", "--net", "--mount", "--propagation", "private"];
    const child = spawn("setpriv", [...apart, "sh", "-c", ENGINE, "sh", data], {
      stdio: ["pipe", "pipe", file],
    });
    closeSync(file);
    this.child = child;
    this.undo.push(() => this.end(child));
    const { stdin, stdout } = child;
    if (!stdin || !stdout) throw new Error("its pipes are missing");
    await new Promise<void>((ready, failed) => {
      stdout.once("data", () => ready());
      child.once("error", failed);
      child.once("exit", (status) => failed(new Error(`its namespaces ended with status ${status}`)));
    });
    await this.connect(String(child.pid));
    stdin.end("\n");
    for (const deadline = Date.now() + PATIENCE_MS; ; ) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error("its engine did not start");
      if (!(await execa(...this.command("docker", "version"), { reject: false })).failed) break;
      await new Promise((resume) => setTimeout(resume, 100));
    }
    const [enter, args] = this.command("docker", "load");
    await execa("sh", ["-c", `docker save ${baseImages.join(" ")} | ${[enter, ...args].join(" ")}`]);
  }

  /** A pair of interfaces to this machine, which passes on to the world what comes from it. */
  private async connect(pid: string): Promise<void> {
    const there = (...args: string[]) => execa("nsenter", ["--target", pid, "--net", "--", ...args]);
    // A block for documentation (RFC 5737): no network that a test makes lies in it.
    const block = `192.0.2.${4 * randomInt(64)}`;
    const [near, far] = [1, 2].map((host) => block.replace(/\d+$/, (last) => String(Number(last) + host)));
    const link = `wpm-${randomInt(1e6)}`;
    await execa("ip", ["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid]);
    this.undo.push(() => execa("ip", ["link", "delete", link], { reject: false }));
    await execa("ip", ["address", "add", `${near}/30`, "dev", link]);
    await execa("ip", ["link", "set", link, "up"]);
    await there("ip", "address", "add", `${far}/30`, "dev", "eth0");
    await there("ip", "link", "set", "eth0", "up");
    await there("ip", "route", "add", "default", "via", near!);
    await execa("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
    for (const rule of [
      ["nat", "POSTROUTING", "--source", `${block}/30`, "!", "--out-interface", link, "--jump", "MASQUERADE"],
      ["filter", "FORWARD", "--source", `${block}/30`, "--jump", "ACCEPT"],
      ["filter", "FORWARD", "--destination", `${block}/30`, "--jump", "ACCEPT"],
    ]) {
      const [table = "", ...rest] = rule;
      await execa("iptables", ["--wait", "--table", table, "--insert", ...rest]);
      this.undo.push(() => execa("iptables", ["--wait", "--table", table, "--delete", ...rest]));
    }
  }

  private async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    // Its containers go first: the engine would give each of them ten seconds.
    const remove = "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force";
    await execa(...this.command("sh", "-c", remove), { reject: false });
    await endEngine(child);
  }
}
