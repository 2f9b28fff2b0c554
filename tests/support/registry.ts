import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import execa from "execa";
import { aptInstall, isDebianRoot } from "../../toolchain/apt";
import { selfSigned } from "./certificate";
import { freePort } from "./stack";

const PROGRAM = "/usr/bin/docker-registry";
const PATIENCE_MS = 20_000;

interface RegistryOptions {
  /** The address that it listens at. Default: the loopback address. */
  readonly host?: string;
  /** Whether it asks for no login. Default: it does. */
  readonly isOpen?: boolean;
  /** Whether it speaks TLS, with a certificate that is its own authority. Default: plain HTTP. */
  readonly tls?: boolean;
}

/** A registry of images with a login of its own; engines ask for no certificate at the loopback address. */
export class TestRegistry {
  readonly user = "robot$ci";
  readonly password = `p'"\\ä ${Math.random().toString(36).slice(2)}`;
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-registry-"));
  private child: ChildProcess | undefined;
  private said = "";

  private constructor(
    private readonly host: string,
    readonly port: number,
    private readonly tls: boolean,
  ) {}

  static async start({
    host = "127.0.0.1",
    isOpen = false,
    tls = false,
  }: RegistryOptions = {}): Promise<TestRegistry> {
    if (!existsSync(PROGRAM) && isDebianRoot()) await aptInstall(["docker-registry"]);
    if (!existsSync(PROGRAM)) throw new Error("there is no docker-registry; install it");
    const registry = new TestRegistry(host, await freePort(), tls);
    if (tls) await selfSigned(`IP:${host}`, join(registry.folder, "key.pem"), registry.certificate);
    const hash = ["-e", "chomp(my $word = <STDIN>); print crypt($word, q($2y$05$abcdefghijklmnopqrstuu))"];
    const { stdout } = await execa("perl", hash, { input: registry.password });
    writeFileSync(join(registry.folder, "htpasswd"), `${registry.user}:${stdout}\n`);
    const settings = {
      version: 0.1,
      log: { level: "info", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(registry.folder, "images") } },
      http: {
        addr: `${host}:${registry.port}`,
        ...(tls ? { tls: { certificate: registry.certificate, key: join(registry.folder, "key.pem") } } : {}),
      },
      ...(isOpen ? {} : { auth: { htpasswd: { realm: "test", path: join(registry.folder, "htpasswd") } } }),
    };
    // YAML takes JSON.
    writeFileSync(join(registry.folder, "config.yml"), JSON.stringify(settings));
    await registry.resume();
    return registry;
  }

  /** What `watch-party:registry.address` has to be. */
  get address(): string {
    return `${this.reached}:${this.port}/team`;
  }

  /** The file with its certificate, if it speaks TLS. */
  get certificate(): string {
    return join(this.folder, "cert.pem");
  }

  private get reached(): string {
    return this.host === "0.0.0.0" ? "127.0.0.1" : this.host;
  }

  /** How many layers and configurations were taken from it. */
  get reads(): number {
    return this.said
      .split("\n")
      .filter((line) => /response completed.*http\.request\.method=GET.*blobs\//.test(line)).length;
  }

  /** Loses all images, as a registry that cleans up does. */
  async forget(): Promise<void> {
    await this.pause();
    rmSync(join(this.folder, "images"), { recursive: true, force: true });
    await this.resume();
  }

  /** Starts it, at the same port and with what it had. */
  async resume(): Promise<void> {
    const argv = ["--pdeathsig", "KILL", PROGRAM, "serve", join(this.folder, "config.yml")];
    const child = spawn("setpriv", argv, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (chunk) => {
      this.said += chunk;
    });
    this.child = child;
    for (const end = Date.now() + PATIENCE_MS; (await this.ask("")) !== 200; ) {
      if (child.exitCode !== null || Date.now() > end) throw new Error("docker-registry does not answer");
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }

  /** Ends it: nothing answers there any more. */
  async pause(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
  }

  /** Whether it has an image, by `address/repository@sha256:…`. */
  async has(reference: string): Promise<boolean> {
    const [repository, digest] = reference.slice(`${this.reached}:${this.port}/`.length).split("@");
    return (await this.ask(`${repository}/manifests/${digest}`)) === 200;
  }

  async remove(): Promise<void> {
    await this.pause();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The status of an answer; 0 without an answer. */
  private async ask(path: string): Promise<number> {
    const login = Buffer.from(`${this.user}:${this.password}`).toString("base64");
    const headers = {
      Authorization: `Basic ${login}`,
      Accept: "application/vnd.docker.distribution.manifest.v2+json",
    };
    const options = { headers, ca: this.tls ? readFileSync(this.certificate) : undefined };
    const url = `${this.tls ? "https" : "http"}://${this.reached}:${this.port}/v2/${path}`;
    return new Promise((resolve) => {
      const request = this.tls ? https.get(url, options) : http.get(url, options);
      request.on("response", (answer) => resolve(answer.resume().statusCode ?? 0));
      request.on("error", () => resolve(0));
    });
  }
}
