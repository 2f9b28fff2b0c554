import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type EngineEvent, LocalWorkspace, type OpType, type Stack } from "@pulumi/pulumi/automation";
import execa from "execa";
import { canListen } from "../../release/preflight";

const PROJECT = resolve(__dirname, "..", "..");

/** No test but those of the watch itself waits for new containers longer than for all else. */
const OWN_KEYS = {
  settleSeconds: "1",
  // The suites run on either kind of plugins.
  allowStandIns: true,
};

/** What one `up`, `preview` or `destroy` did. */
export interface Outcome {
  readonly ok: boolean;
  /** All it printed. */
  readonly said: string;
  /** `type name` → operation, of every resource that did not stay the same. */
  readonly changes: Readonly<Record<string, OpType>>;
  /** `type name`s in the order in which their creation began and ended. */
  readonly order: readonly { readonly resource: string; readonly moment: "begins" | "ends" }[];
}

/** A stack of the program with a state of its own, in a folder that looks like the project but keeps nothing in it. */
export class TestStack {
  private constructor(
    readonly name: string,
    readonly folder: string,
    readonly port: number,
    private readonly stack: Stack,
    readonly env: Record<string, string>,
  ) {}

  /**
   * @param config keys of the namespace `watch-party`, objects as they are
   * @param program the checkout whose program deploys. Default: this one
   */
  static create(
    config: Record<string, unknown>,
    env: Record<string, string> = {},
    program = PROJECT,
  ): Promise<TestStack> {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-stack-"));
    linkProgram(program, folder);
    mkdirSync(join(folder, ".state"));
    return TestStack.in(folder, program === PROJECT ? { ...OWN_KEYS, ...config } : config, env);
  }

  /** Deploys with the program of this checkout from now on, as after a `git pull`. */
  upgrade(): void {
    for (const entry of readdirSync(this.folder, { withFileTypes: true }))
      if (entry.isSymbolicLink()) rmSync(join(this.folder, entry.name));
    linkProgram(PROJECT, this.folder);
  }

  /** Another stack of the same project, with its state beside this one's. */
  async beside(config: Record<string, unknown>): Promise<TestStack> {
    const stack = await TestStack.in(this.folder, { ...OWN_KEYS, ...config }, {});
    stack.isGuest = true;
    return stack;
  }

  private isGuest = false;

  private static async in(
    folder: string,
    config: Record<string, unknown>,
    env: Record<string, string>,
  ): Promise<TestStack> {
    const state = join(folder, ".state");
    const name = `t${Math.random().toString(36).slice(2, 8)}`;
    const envVars = { PULUMI_CONFIG_PASSPHRASE: "test", ...env, PULUMI_BACKEND_URL: `file://${state}` };
    const stack = await LocalWorkspace.createStack({ stackName: name, workDir: folder }, { envVars });
    const port = await freePort();
    const test = new TestStack(name, folder, port, stack, envVars);
    await test.configure({ listen: `127.0.0.1:${port}`, ...config });
    return test;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async configure(config: Record<string, unknown>, secret = false): Promise<void> {
    const values = Object.entries(config).map(([key, value]) => [
      `watch-party:${key}`,
      { value: typeof value === "string" ? value : JSON.stringify(value), secret },
    ]);
    await this.stack.setAllConfig(Object.fromEntries(values));
  }

  /** Sets a single value inside an object, as `config set --path` does. */
  async configurePath(path: string, value: string, secret = false): Promise<void> {
    await this.stack.setConfig(`watch-party:${path}`, { value, secret }, true);
  }

  /** @param heard what it prints, as it comes */
  up(options: { refresh?: boolean } = {}, heard: (text: string) => void = () => undefined): Promise<Outcome> {
    return this.record((onEvent, onOutput) => {
      const hear = (text: string) => {
        onOutput(text);
        heard(text);
      };
      return this.stack.up({ onEvent, onOutput: hear, onError: hear, suppressProgress: true, ...options });
    });
  }

  preview(): Promise<Outcome> {
    return this.record((onEvent, onOutput) => this.stack.preview({ onEvent, onOutput, onError: onOutput }));
  }

  verify(...options: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
    return this.command("verify", ...options);
  }

  /** Runs one of the project's commands as a process of its own, as if this folder were the project. */
  async command(
    name: string,
    ...options: string[]
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    const { file, args, options: where } = this.commandLine(name, ...options);
    const { exitCode, stdout, stderr } = await execa(file, args, { ...where, reject: false });
    return { status: exitCode, stdout, stderr };
  }

  /** What `command` runs. */
  commandLine(name: string, ...options: string[]) {
    const node = ["--preserve-symlinks", "--preserve-symlinks-main", "--require", "./toolchain/program.js"];
    // What comes after `--` is another program's.
    const own = options.includes("--") ? options.indexOf("--") : options.length;
    const args = [...options.slice(0, own), "--stack", this.name, ...options.slice(own)];
    return {
      file: process.execPath,
      args: [...node, join(this.folder, "cli", `${name}.ts`), ...args],
      options: { cwd: this.folder, env: { ...process.env, ...this.env } },
    };
  }

  /** The running container of a service. */
  async container(service: string): Promise<string> {
    const labels = [`watch-party.stack=${this.name}`, `watch-party.service=${service}`];
    const { stdout } = await execa("docker", [
      "ps",
      "--quiet",
      ...labels.flatMap((label) => ["--filter", `label=${label}`]),
    ]);
    const [first, ...others] = stdout.split("\n").filter((id) => id !== "");
    if (first === undefined || others.length > 0)
      throw new Error(`containers of ${service}: ${stdout || "none"}`);
    return first;
  }

  async outputs(): Promise<Record<string, unknown>> {
    const outputs = await this.stack.outputs();
    return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
  }

  /** The whole state as it lies on disk, secrets encrypted. */
  state(): string {
    return readFileSync(
      join(this.folder, ".state", ".pulumi", "stacks", "watch-party", `${this.name}.json`),
      "utf8",
    );
  }

  /** Destroys the stack; its configuration and folder stay. */
  destroy(): Promise<Outcome> {
    return this.record((onEvent, onOutput) => this.stack.destroy({ onEvent, onOutput }));
  }

  /** Destroys the stack and, unless another stack shares it, removes the folder; leftovers of a failed test are removed too. */
  async remove(): Promise<Outcome> {
    const outcome = await this.destroy();
    if (!this.isGuest) rmSync(this.folder, { recursive: true, force: true });
    await removeImages(this.name);
    await removeVolumes(this.name);
    return outcome;
  }

  private async record(
    run: (onEvent: (event: EngineEvent) => void, onOutput: (text: string) => void) => Promise<unknown>,
  ): Promise<Outcome> {
    const changes: Record<string, OpType> = {};
    const order: { resource: string; moment: "begins" | "ends" }[] = [];
    let said = "";
    const onEvent = (event: EngineEvent) => {
      const pre = event.resourcePreEvent?.metadata;
      const post = event.resOutputsEvent?.metadata;
      if (pre) {
        const resource = nameOf(pre.urn);
        if (pre.op !== "same" && pre.op !== "read") changes[resource] ??= pre.op;
        if (pre.op.startsWith("create") || pre.op === "update") order.push({ resource, moment: "begins" });
      }
      if (post && (post.op.startsWith("create") || post.op === "update"))
        order.push({ resource: nameOf(post.urn), moment: "ends" });
    };
    const onOutput = (text: string) => {
      said += text;
    };
    try {
      await run(onEvent, onOutput);
      return { ok: true, said, changes, order };
    } catch (error) {
      return { ok: false, said: `${said}\n${(error as Error).message}`, changes, order };
    }
  }
}

/** Makes a folder look like a checkout without the stacks and the state in it. */
function linkProgram(program: string, folder: string): void {
  for (const name of readdirSync(program))
    if (!name.startsWith(".") && !/^Pulumi\..+\.yaml$/.test(name))
      symlinkSync(join(program, name), join(folder, name));
}

/** `urn:pulumi:stack::project::parent$docker:index/image:Image::frontend` → `Image frontend`. */
function nameOf(urn: string): string {
  const [, , type, name] = urn.split("::");
  return `${type!.split(":").at(-1)} ${name}`;
}

/** Removes the volumes of a stack's services, which a destroy leaves. */
export async function removeVolumes(stack: string): Promise<void> {
  const filter = ["--quiet", "--filter", `label=watch-party.stack=${stack}`];
  const { stdout } = await execa("docker", ["volume", "ls", ...filter]);
  const own = stdout.split("\n").filter((name) => name !== "");
  if (own.length > 0) await execa("docker", ["volume", "rm", ...own], { reject: false });
}

/** Removes the images of a stack, which a destroy leaves. */
export async function removeImages(stack: string): Promise<void> {
  const { stdout } = await execa("docker", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
  const own = stdout
    .split("\n")
    .filter((tag) => tag.startsWith(`watch-party-${stack}-`) && !tag.endsWith("<none>"));
  if (own.length > 0) await execa("docker", ["image", "rm", "--force", ...own], { reject: false });
}

/** A free port below the range of outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await canListen({ address: "127.0.0.1", port })) return port;
  }
}

/**
 * What the engine holds of a stack: containers, networks and volumes, by kind and name.
 *
 * @param host the engine, the machine's by default
 */
export async function leftovers(stack: string, host?: string): Promise<string[]> {
  const filter = ["--filter", `label=watch-party.stack=${stack}`];
  const kinds = {
    container: ["--all", "--format", "{{.Names}}"],
    network: ["--format", "{{.Name}}"],
    volume: ["--format", "{{.Name}}"],
  };
  const found = await Promise.all(
    Object.entries(kinds).map(async ([kind, options]) => {
      const on = host === undefined ? [] : ["--host", host];
      const { stdout } = await execa("docker", [...on, kind, "ls", ...filter, ...options]);
      return stdout
        .split("\n")
        .filter((name) => name !== "")
        .map((name) => `${kind} ${name}`);
    }),
  );
  return found.flat();
}
