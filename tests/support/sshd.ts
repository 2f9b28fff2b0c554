import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import execa from "execa";
import { aptInstall, isDebianRoot } from "../../toolchain/apt";
import { freePort } from "./stack";

/** A server on the loopback address: a real sshd with keys of its own, with this machine's engine unless another is given. */
export class SshServer {
  readonly user = userInfo().username;
  private child: ChildProcess | undefined;
  private said = "";

  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly program: string,
  ) {}

  /**
   * @param acceptEnv the variables that a client may send
   * @param variables those that every login has besides PATH
   */
  static async start(
    acceptEnv = "NONE",
    variables: Readonly<Record<string, string>> = {},
  ): Promise<SshServer> {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-sshd-"));
    const server = new SshServer(folder, await freePort(), await sshd());
    // sshd reads the keys as the user who logs in.
    chmodSync(folder, 0o755);
    await Promise.all(["host", "other", "user"].map((name) => server.makeKey(name)));
    const settings = [
      "ListenAddress 127.0.0.1",
      `Port ${server.port}`,
      `HostKey ${join(folder, "host")}`,
      `AuthorizedKeysFile ${join(folder, "user.pub")}`,
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      `AcceptEnv ${acceptEnv}`,
      // The first line of a keyword counts.
      `SetEnv ${Object.entries({ PATH: process.env.PATH, ...variables })
        .map(([name, value]) => `${name}=${value}`)
        .join(" ")}`,
    ];
    writeFileSync(join(folder, "sshd_config"), `${settings.join("\n")}\n`);
    writeFileSync(server.knownHosts, `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
    await server.resume();
    return server;
  }

  /** The private key that logs in. */
  get key(): string {
    return readFileSync(this.keyFile, "utf8");
  }

  get keyFile(): string {
    return join(this.folder, "user");
  }

  /** The file that tells a client of the server's public key. */
  get knownHosts(): string {
    return join(this.folder, "known_hosts");
  }

  /** A private key that does not. */
  get otherKey(): string {
    return readFileSync(join(this.folder, "other"), "utf8");
  }

  /** The server's public key, `TYPE BASE64`. */
  get hostKey(): string {
    return this.publicKey("host");
  }

  /** A key of the same form that is not the server's. */
  get otherHostKey(): string {
    return this.publicKey("other");
  }

  /** Starts it, at the same port after a pause. */
  async resume(): Promise<void> {
    const child = spawn(this.program, ["-D", "-e", "-f", join(this.folder, "sshd_config")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child = child;
    // It must not outlive a test that is ended before its time.
    const end = () => child.kill();
    process.once("exit", end);
    child.once("close", () => process.removeListener("exit", end));
    await new Promise<void>((ready, failed) => {
      let said = "";
      child.stderr.on("data", (chunk) => {
        said += chunk;
        this.said += chunk;
        if (said.includes("Server listening")) ready();
      });
      child.on("error", failed);
      child.on("exit", (status) => failed(new Error(`sshd ended with status ${status}: ${said}`)));
    });
  }

  /** How often somebody has logged in. */
  get logins(): number {
    return this.said.split("\n").filter((line) => line.startsWith("Accepted publickey")).length;
  }

  /** Stops it and all its logins where they are: the server is gone without a word. */
  async freeze(): Promise<void> {
    await this.signal("SIGSTOP");
  }

  async thaw(): Promise<void> {
    await this.signal("SIGCONT");
  }

  private async signal(name: "SIGSTOP" | "SIGCONT"): Promise<void> {
    for (const pid of [this.pid, ...(await this.sessions())])
      try {
        process.kill(pid, name);
      } catch (cause) {
        // A login may end at any moment, also after it was listed.
        if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
      }
  }

  /** The process that listens. */
  get pid(): number {
    return this.child!.pid!;
  }

  /** The processes of those who are logged in. */
  async sessions(): Promise<number[]> {
    const { stdout } = await execa("pgrep", ["--parent", String(this.pid)], { reject: false });
    return stdout
      .split("\n")
      .filter((pid) => pid !== "")
      .map(Number);
  }

  /** Ends it: nothing listens there any more. Logins that stand go on to their own end. */
  async pause(): Promise<void> {
    const { child } = this;
    if (child) await this.thaw();
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    // Its logins may go on, and hold its output.
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
  }

  async remove(): Promise<void> {
    await this.pause();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private publicKey(name: string): string {
    return readFileSync(join(this.folder, `${name}.pub`), "utf8")
      .trim()
      .split(" ")
      .slice(0, 2)
      .join(" ");
  }

  private async makeKey(name: string): Promise<void> {
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(this.folder, name)]);
  }
}

/** The program, installed if it is missing and installation is allowed. */
async function sshd(): Promise<string> {
  const find = () => ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].find(existsSync);
  if (!find() && isDebianRoot()) await aptInstall(["openssh-server", "openssh-client"]);
  const program = find();
  if (!program) throw new Error("there is no sshd; install openssh-server");
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  return program;
}
