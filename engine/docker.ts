import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import type { NamedContainer, NetworkNames } from "../freshness/container/alias";
import type { Restarts } from "../freshness/container/ended";
import type { Mount } from "../freshness/container/mounts";
import type { KeptImage } from "../freshness/image/kept";
import { ApiError, EngineApi, ignoreUnknown } from "./api";
import { logText } from "./containerLog";
import { localSocket } from "./dial";
import { type ContainerToCopy, type OneOffChanges, oneOffLike } from "./likeness";
import { lastLines } from "./mask";
import { EngineError, NO_PATH, unreachable } from "./problems";
import type { SshTarget } from "./ssh";

/** How the docker CLI reaches the engine: locally, or on a server over SSH. */
export interface EngineTarget {
  readonly ssh?: SshTarget;
}

/** The facts of a container that the proofs use. */
export interface ContainerFacts extends NamedContainer {
  readonly running: boolean;
  /** Result of its own health check; absent without one. */
  readonly health?: string;
  /** How often the engine has restarted it after it exited. */
  readonly restarts: Restarts;
  /** Time of creation by the engine's clock, in milliseconds since 1970. */
  readonly created: number;
  /** Time of the last start. */
  readonly started: number;
  /** The image's id, `sha256:…`. */
  readonly image: string;
  readonly mounts: readonly Mount[];
  /** Whether its root file system is read-only. */
  readonly readOnly: boolean;
  /** Its networks, with its IPv4 address in each; empty if it has none. */
  readonly networks: readonly (NetworkNames & { readonly address: string })[];
}

/** A container as the engine lists it. */
export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it runs, or is about to be restarted. */
  readonly running: boolean;
}

/** One difference between a container and its image. */
export interface FileChange {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
}

/**
 * Environment of docker commands: it holds no secret of the deploy.
 *
 * @param more variables for this command only, such as build secrets
 */
function withOwnEnvironment(more: Readonly<Record<string, string>> = {}) {
  return { env: childEnvironment("docker", more), extendEnv: false };
}

/** The engine kills a container that exceeds its stop time first. */
const LONGEST_STOP_SECONDS = 3600;

/** Access to a Docker engine. All code reaches an engine through this class. */
export class DockerEngine {
  private readonly temporary = new Set<string>();
  private watchesExit = false;
  private informing: Promise<EngineInfo> | undefined;
  private asked: ReturnType<DockerEngine["versions"]> | undefined;
  private readonly api: EngineApi;

  /** @param mask removes secrets from container output */
  constructor(
    private readonly target: EngineTarget = {},
    private readonly mask: (text: string) => string = (text) => text,
  ) {
    const dial = () => this.commandLine(["system", "dial-stdio"]);
    this.api = new EngineApi(dial, target.ssh ? undefined : localSocket());
  }

  /** Runs a docker command and returns its standard output. */
  async docker(
    args: readonly string[],
    options: {
      input?: string | Readable;
      timeoutSeconds?: number;
      environment?: Readonly<Record<string, string>>;
      signal?: AbortSignal;
    } = {},
  ): Promise<string> {
    const [file, argv] = this.commandLine(args);
    const child = execa(file, argv, {
      // A command may end before it reads its input; an empty pipe would then break.
      ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
      timeout: (options.timeoutSeconds ?? 60) * 1000,
      reject: false,
      ...withOwnEnvironment(options.environment),
    });
    const end = () => child.kill();
    options.signal?.addEventListener("abort", end);
    const result = await child;
    options.signal?.removeEventListener("abort", end);
    if (!result.failed) return result.stdout;
    const words = (result.stderr ?? "").trim() || (result as { shortMessage?: string }).shortMessage;
    throw new EngineError(`docker ${args[0]}: ${words}`);
  }

  /** Streams a docker command's output to a reader as bytes: an image can be larger than memory. */
  async stream<T>(
    args: readonly string[],
    read: (output: AsyncIterable<Uint8Array>) => Promise<T>,
    options: { timeoutSeconds?: number } = {},
  ): Promise<T> {
    const [file, argv] = this.commandLine(args);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, {
      stdin: "ignore",
      buffer: false,
      timeout,
      reject: false,
      ...withOwnEnvironment(),
    });
    const [outcome, words, result] = await Promise.all([
      read(child.stdout!).then(
        (value) => ({ value }),
        (cause: Error) => ({ cause }),
      ),
      text(child.stderr!),
      child,
    ]);
    if (result.failed) {
      const { shortMessage } = result as { shortMessage?: string };
      throw new EngineError(`docker ${args[0]}: ${words.trim() || shortMessage}`);
    }
    if ("cause" in outcome) throw outcome.cause;
    return outcome.value;
  }

  /** Loads an image archive from a stream. */
  async load(archive: AsyncIterable<Uint8Array>, options: { timeoutSeconds?: number } = {}): Promise<void> {
    const [file, argv] = this.commandLine(["image", "load", "--quiet"]);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, {
      input: Readable.from(archive),
      timeout,
      reject: false,
      ...withOwnEnvironment(),
    });
    const { failed, stderr, shortMessage } = (await child) as Awaited<typeof child> & {
      shortMessage?: string;
    };
    if (failed) throw new EngineError(`docker image load: ${stderr.trim() || shortMessage}`);
  }

  /** @throws EngineError with a remedy if the engine does not answer or denies access */
  async assertReachable(): Promise<void> {
    await this.versions();
  }

  /**
   * Versions of the engine and the client; read once.
   *
   * @throws as `assertReachable` does
   */
  versions(): Promise<readonly [engine: string, client: string]> {
    this.asked ??= this.askVersions();
    return this.asked;
  }

  private async askVersions(): Promise<readonly [engine: string, client: string]> {
    const format = "{{.Server.Version}} {{.Client.Version}}";
    const said = await this.docker(["version", "--format", format], { timeoutSeconds: 20 }).catch(
      (cause: Error) => {
        throw new EngineError(unreachable(cause.message));
      },
    );
    const [engine = "", client = ""] = said.trim().split(" ");
    return [engine, client];
  }

  /**
   * @throws EngineError if the engine's machine does not answer within a few seconds, whatever the state of
   * its engine
   */
  async assertAnswers(timeoutSeconds = 7): Promise<void> {
    const [file, args] = this.wrap(["true"]);
    const { failed } = await execa(file, args, {
      stdin: "ignore",
      timeout: timeoutSeconds * 1000,
      reject: false,
      ...withOwnEnvironment(),
    });
    if (failed) throw new EngineError("no answer");
  }

  /** Reads containers by ID or name in one call; skips missing ones. */
  async inspectContainers(idsOrNames: readonly string[]): Promise<ContainerFacts[]> {
    return (await this.inspect(idsOrNames)).containers;
  }

  /** IDs of the running containers in any of these networks. */
  async containersIn(networks: readonly string[]): Promise<string[]> {
    return (await this.inspect(networks)).members;
  }

  /** Reads containers, images or networks by ID or name; skips missing ones. */
  async inspect(names: readonly string[]): Promise<Inspected> {
    const found = await Promise.all([...new Set(names)].map((name) => this.find(name)));
    const all = found.filter((each) => each !== undefined);
    return {
      containers: all.flatMap((each) => ("State" in each ? [containerFacts(each)] : [])),
      images: all.flatMap((each) => ("RepoTags" in each ? [imageFacts(each)] : [])),
      members: [
        ...new Set(all.flatMap((each) => ("Containers" in each ? Object.keys(each.Containers ?? {}) : []))),
      ],
    };
  }

  private async find(name: string): Promise<Inspect | undefined> {
    if (/[:/]/.test(name)) return this.inspectImage(name);
    return (
      (await this.api.find<ContainerInspect>(`/containers/${name}/json`)) ??
      (await this.api.find<NetworkInspect>(`/networks/${name}`)) ??
      (await this.inspectImage(name))
    );
  }

  /** Inspects an image; undefined if the engine has none of that name. */
  async inspectImage(name: string): Promise<ImageInspect | undefined> {
    return this.api.find<ImageInspect>(`/images/${name}/json`);
  }

  /**
   * Differences between a container's files and its image's: `A` added, `C` changed, `D` deleted, and the
   * path.
   */
  async changedFiles(container: string): Promise<FileChange[]> {
    type Change = { readonly Kind: 0 | 1 | 2; readonly Path: string };
    const changes = await this.api.ask<Change[] | null>("GET", `/containers/${container}/changes`);
    return (changes ?? []).map(({ Kind, Path }) => ({ kind: (["C", "A", "D"] as const)[Kind], path: Path }));
  }

  /** The images' sizes in bytes, 0 for a missing image. */
  async imageSizes(ids: readonly string[]): Promise<number[]> {
    return Promise.all(ids.map(async (id) => (await this.inspectImage(id))?.Size ?? 0));
  }

  /** Output of `docker info`; read once. */
  info(): Promise<EngineInfo> {
    this.informing ??= this.api.ask<EngineInfo>("GET", "/info");
    return this.informing;
  }

  /** Containers with all these labels, `name` or `name=value`. @param all includes stopped ones */
  async listContainers(
    labels: readonly string[],
    { all = false, publish }: { readonly all?: boolean; readonly publish?: number } = {},
  ): Promise<ListedContainer[]> {
    const filters = { label: labels, ...(publish === undefined ? {} : { publish: [String(publish)] }) };
    type Listed = {
      readonly Id: string;
      readonly Names: readonly string[] | null;
      readonly Labels: Readonly<Record<string, string>> | null;
      readonly State: string;
    };
    const query = { all: String(all), filters: JSON.stringify(filters) };
    const found = await this.api.ask<Listed[]>("GET", "/containers/json", { query });
    return found.map(({ Id: id, Names, Labels, State }) => ({
      id,
      name: (Names?.[0] ?? id).replace(/^\//, ""),
      labels: Labels ?? {},
      running: /^(running|restarting|paused)$/.test(State),
    }));
  }

  /** Current time of the engine's clock, in milliseconds since 1970. */
  async now(): Promise<number> {
    const { SystemTime } = await this.api.ask<{ readonly SystemTime: string }>("GET", "/info");
    return Date.parse(SystemTime);
  }

  /** The last lines of a container's or a Swarm service's log, without secrets, long lines cut. */
  async lastLines(kind: "container" | "service", id: string): Promise<string[]> {
    const query = { stdout: "true", stderr: "true", tail: "20" };
    const output = await this.api.receive("GET", `/${kind}s/${id}/logs`, { query }, logText);
    return lastLines(output, this.mask);
  }

  /**
   * Exit code of a container's last end. The engine remembers its last 256 events.
   *
   * @param since milliseconds since 1970, by the engine's clock
   */
  async lastExit(id: string, since: number): Promise<{ exitCode?: number; oomKilled: boolean }> {
    const events = await this.events([id], ["die", "oom"], since, await this.now());
    const code = events.findLast(({ Action }) => Action === "die")?.Actor.Attributes.exitCode;
    return {
      exitCode: code === undefined ? undefined : Number(code),
      oomKilled: events.some(({ Action }) => Action === "oom"),
    };
  }

  /**
   * How often the kernel killed a process of a container because of its memory limit. The engine remembers its last 256
   * events.
   *
   * @param since milliseconds since 1970, by the engine's clock
   * @param until the same
   * @returns container ID → kills; without an entry if there were none
   */
  async oomKills(ids: readonly string[], since: number, until: number): Promise<ReadonlyMap<string, number>> {
    const kills = new Map<string, number>();
    if (ids.length === 0) return kills;
    for (const { Actor } of await this.events(ids, ["oom"], since, until))
      kills.set(Actor.ID, (kills.get(Actor.ID) ?? 0) + 1);
    return kills;
  }

  private async events(
    container: readonly string[],
    event: readonly string[],
    since: number,
    until: number,
  ): Promise<EngineEvent[]> {
    const query = {
      since: String(Math.floor(since / 1000)),
      until: (until / 1000).toFixed(3),
      filters: JSON.stringify({ container, event }),
    };
    const said = await this.api.receive("GET", "/events", { query }, text);
    return said
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => JSON.parse(line) as EngineEvent);
  }

  /**
   * Stops a container so that the engine does not restart it, neither now nor after its own restart. The log
   * stays.
   */
  async stopForGood(id: string): Promise<void> {
    const update = () =>
      this.api.ask("POST", `/containers/${id}/update`, { body: { RestartPolicy: { Name: "no" } } });
    const failure = await update().then(
      () => undefined,
      (cause: Error) => cause,
    );
    await this.api.ask("POST", `/containers/${id}/stop`, { timeoutSeconds: LONGEST_STOP_SECONDS });
    // `docker update` fails for a container that is just ending, and works for a stopped one.
    if (failure) await update();
  }

  /** Starts a stopped container; does nothing to a running one. */
  async start(id: string): Promise<void> {
    await this.api.ask("POST", `/containers/${id}/start`);
  }

  /** IDs of objects with a label, `name=value`; names of networks. */
  async listLabelled(
    kind: "network" | "secret",
    label: string,
  ): Promise<{ readonly id: string; readonly name?: string }[]> {
    type Listed = { readonly Id?: string; readonly ID?: string; readonly Name?: string };
    const query = { filters: JSON.stringify({ label: [label] }) };
    const found = await this.api.ask<Listed[]>("GET", `/${kind}s`, { query });
    return found.map(({ Id, ID, Name }) => ({ id: Id ?? ID ?? "", name: Name }));
  }

  /** Volumes with a label, `name=value`, newest first. */
  async listVolumes(
    label: string,
  ): Promise<{ readonly name: string; readonly labels: Readonly<Record<string, string>> }[]> {
    type Listed = {
      readonly Name: string;
      readonly CreatedAt?: string;
      readonly Labels: Readonly<Record<string, string>> | null;
    };
    const query = { filters: JSON.stringify({ label: [label] }) };
    const { Volumes } = await this.api.ask<{ readonly Volumes: Listed[] | null }>("GET", "/volumes", {
      query,
    });
    const age = ({ CreatedAt }: Listed) => Date.parse(CreatedAt ?? "") || 0;
    return (Volumes ?? [])
      .sort((a, b) => age(b) - age(a))
      .map(({ Name: name, Labels }) => ({ name, labels: Labels ?? {} }));
  }

  /** Swarm services with a label, `name=value`. */
  async listServices(label: string): Promise<SwarmServiceFacts[]> {
    return this.findServices({ label: [label] });
  }

  /** Swarm services by ID; skips missing ones. */
  async readServices(ids: readonly string[]): Promise<SwarmServiceFacts[]> {
    return this.findServices({ id: ids });
  }

  /** All tasks of Swarm services, by service ID, including ended ones. */
  async listTasks(services: readonly string[]): Promise<TaskListed[]> {
    const found = await Promise.all(
      services.map((service) => {
        const query = { filters: JSON.stringify({ service: [service] }) };
        // The engine fails for a missing service.
        return this.api.find<TaskListed[]>("/tasks", { query });
      }),
    );
    return found.flatMap((tasks) => tasks ?? []);
  }

  private async findServices(
    filters: Readonly<Record<string, readonly string[]>>,
  ): Promise<SwarmServiceFacts[]> {
    const query = { filters: JSON.stringify(filters) };
    const found = await this.api.ask<ServiceInspect[]>("GET", "/services", { query });
    return found.map(({ ID: id, CreatedAt, Spec }) => ({
      id,
      created: Date.parse(CreatedAt),
      name: Spec.Name,
      labels: Spec.Labels ?? {},
      names: (Spec.TaskTemplate.Networks ?? []).flatMap(({ Aliases }) => Aliases ?? []),
      replicas: Spec.Mode?.Replicated?.Replicas ?? 1,
    }));
  }

  /** Image names that match any of these patterns, such as `app` or `*:tag`. */
  async listTags(patterns: readonly string[]): Promise<string[]> {
    type Listed = { readonly RepoTags: readonly string[] | null };
    const query = { filters: JSON.stringify({ reference: patterns }) };
    const found = await this.api.ask<Listed[]>("GET", "/images/json", { query });
    return found.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => !name.endsWith(":<none>"));
  }

  /**
   * Creates a container that never starts, to copy files out of it. The image needs no command.
   *
   * @param mounts folders of the engine's machine → mount points
   * @returns its name, for `removeTemporary`
   */
  async createTemporary(
    image: string,
    mounts: ReadonlyMap<string, string>,
    labels: Readonly<Record<string, string>>,
  ): Promise<string> {
    const name = this.temporaryName();
    const binds = [...mounts].map(([Source, Target]) => ({ Type: "bind", ReadOnly: true, Source, Target }));
    const body = {
      Image: image,
      Entrypoint: ["never-started"],
      Labels: labels,
      HostConfig: { NetworkMode: "none", Mounts: binds },
    };
    await this.api.ask("POST", "/containers/create", { query: { name }, body });
    return name;
  }

  /**
   * Makes a container like another one, that runs a command once and is removed when it has ended.
   *
   * @returns its id
   */
  async createLike(container: string, changes: OneOffChanges): Promise<string> {
    const like = await this.api.ask<ContainerToCopy>("GET", `/containers/${container}/json`);
    type Created = { readonly Id: string };
    const body = oneOffLike(like, changes);
    return (await this.api.ask<Created>("POST", "/containers/create", { body })).Id;
  }

  /** Waits until a container is gone, at most that many seconds. */
  async awaitRemoved(container: string, timeoutSeconds: number): Promise<void> {
    const query = { condition: "removed" };
    await this.api
      .ask("POST", `/containers/${container}/wait`, { query, timeoutSeconds })
      // The next look shows whether the container is gone.
      .catch((cause: Error) => cause);
  }

  /** Whether a container has a path. */
  async hasPath(container: string, path: string): Promise<boolean> {
    const asked = { query: { path } };
    const there = async () => true;
    const archive = `/containers/${container}/archive`;
    return (await this.api.receive("HEAD", archive, asked, there).catch(ignoreUnknown)) ?? false;
  }

  /**
   * Streams a file or folder of a container to a reader as a tar archive. A link is followed.
   *
   * @returns what the reader returns, undefined if the path does not exist
   */
  async archive<T>(
    container: string,
    path: string,
    read: (output: AsyncIterable<Uint8Array>) => Promise<T>,
    options: { timeoutSeconds?: number } = {},
  ): Promise<T | undefined> {
    const at = <R>(path: string, take: (answer: IncomingMessage) => Promise<R>) =>
      this.api.receive("GET", `/containers/${container}/archive`, { query: { path }, ...options }, take);
    try {
      let link = "";
      const found = await at(path, async (answer) => {
        link = linkTarget(answer);
        return link === "" ? read(answer) : undefined;
      });
      return link === "" ? found : await at(link, read);
    } catch (cause) {
      if (cause instanceof ApiError && cause.status === 404 && NO_PATH.test(cause.message)) return undefined;
      throw cause;
    }
  }

  /**
   * Builds an image without a name with the engine's BuildKit.
   *
   * @param query the build options as the API names them
   * @param context a tar archive
   * @param hear receives each line of the engine's answer
   */
  async build(
    query: Readonly<Record<string, string>>,
    context: Readable,
    hear: (line: string) => void,
    timeoutSeconds: number,
  ): Promise<void> {
    await this.api.receive("POST", "/build", { query, archive: context, timeoutSeconds }, async (answer) => {
      for await (const line of createInterface({ input: answer })) if (line !== "") hear(line);
    });
  }

  /** Pulls an image. */
  async pull(name: string): Promise<void> {
    await this.docker(["image", "pull", "--quiet", name], { timeoutSeconds: 30 * 60 });
  }

  /** Current digest of an image name in its registry; undefined if the registry does not answer with one. */
  async registryDigest(name: string, timeoutSeconds = 5): Promise<string | undefined> {
    type Told = { readonly Descriptor?: { readonly digest?: string } };
    const path = `/distribution/${encodeURI(name)}/json`;
    return this.api.ask<Told>("GET", path, { timeoutSeconds }).then(
      ({ Descriptor }) => Descriptor?.digest,
      () => undefined,
    );
  }

  /** Free bytes where the engine keeps its images; undefined if they cannot be read from here. */
  async freeBytes(): Promise<number | undefined> {
    const { DockerRootDir: root } = await this.info();
    if (this.target.ssh) {
      const lines = (await this.shell(["df", "-Pk", root]).catch(() => "")).trim().split("\n");
      const kilobytes = Number(lines.at(-1)?.split(/\s+/)[3]);
      return Number.isFinite(kilobytes) ? kilobytes * 1024 : undefined;
    }
    if (!existsSync(root)) return undefined;
    const { bavail, bsize } = await statfs(root);
    return bavail * bsize;
  }

  /** Replaces a file in a running container by rename: a reader sees the old content or the new one. */
  async replaceFile(container: string, path: string, content: string): Promise<void> {
    const script = 'cat > "$1.new" && mv "$1.new" "$1"';
    await this.docker(["exec", "-i", container, "sh", "-c", script, "sh", path], { input: content });
  }

  /**
   * Returns a name for a container of this process. The process may end at any moment when another resource
   * fails.
   */
  private temporaryName(): string {
    if (!this.watchesExit) process.once("exit", () => this.removeLeftBehind());
    this.watchesExit = true;
    const name = `watch-party-probe-${randomBytes(6).toString("hex")}`;
    this.temporary.add(name);
    return name;
  }

  /** Removes containers of temporary names. */
  async removeTemporary(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.api.ask("DELETE", `/containers/${name}`, { query: { v: "true" } });
      this.temporary.delete(name);
    }
  }

  private removeLeftBehind(): void {
    if (this.temporary.size === 0) return;
    const [file, argv] = this.commandLine(["container", "rm", "--force", "--volumes", ...this.temporary]);
    spawn(file, argv, { detached: true, stdio: "ignore", env: childEnvironment("docker") }).unref();
  }

  /**
   * Removes images of repositories and of their stages (`repository/STAGE`), except the given tags. An image
   * with a container stays.
   *
   * @param kept repository → the tags that stay
   */
  async keepTags(kept: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const names = await this.listTags([...kept.keys()].flatMap((each) => [each, `${each}/*`]));
    const stay = new Set(
      [...kept].flatMap(([repository, tags]) => tags.map((tag) => `${repository}:${tag}`)),
    );
    await this.removeTags(names.filter((name) => !stay.has(name)));
  }

  /** Removes image names, and images without another name. An image with a container stays. */
  async removeTags(names: readonly string[]): Promise<void> {
    const failures: Error[] = [];
    // Remove as many as possible, even if some fail.
    for (const name of names)
      await this.api.ask("DELETE", `/images/${name}`).catch((cause: Error) => failures.push(cause));
    const others = failures.filter(({ message }) => !/is (being )?us(ed|ing)|No such image/i.test(message));
    if (others.length > 0) throw new EngineError(others.map(({ message }) => message).join("\n"));
  }

  /**
   * Runs a shell script on the engine's machine and waits for its end.
   *
   * @param options.heard receives standard error as it comes
   * @throws EngineError with the script's standard error
   */
  async script(
    script: string,
    {
      input,
      minutes = 5,
      heard,
    }: { input?: string; minutes?: number; heard?: (said: Uint8Array) => void } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    const [file, args] = this.wrap(["sh", "-euc", script]);
    // A script may end before it reads its input. An empty pipe would then break, and the script's own
    // message would be lost.
    const stdin = input === undefined ? { stdin: "ignore" as const } : { input };
    const child = execa(file, args, {
      ...stdin,
      timeout: minutes * 60_000,
      reject: false,
      ...withOwnEnvironment(),
    });
    if (heard) child.stderr?.on("data", heard);
    const result = await child;
    if (!result.failed) return result;
    const { shortMessage } = result as { shortMessage?: string };
    // Node's message begins with the whole script. Show standard error instead.
    throw new EngineError(result.stderr.trim() || shortMessage?.split(": ")[0] || "failed");
  }

  /** The command line of a shell script on the engine's machine, for a process that outlives this one. */
  scriptLine(script: string): [file: string, args: string[]] {
    return this.wrap(["sh", "-c", script]);
  }

  private async shell(argv: readonly string[]): Promise<string> {
    const [file, args] = this.wrap(argv);
    return (await execa(file, args, { timeout: 60_000, ...withOwnEnvironment() })).stdout;
  }

  /** The command line of a docker command: file and arguments. */
  commandLine(args: readonly string[]): [string, string[]] {
    return this.wrap(["docker", ...args]);
  }

  private wrap(argv: readonly string[]): [string, string[]] {
    const { ssh } = this.target;
    if (!ssh) return [argv[0]!, argv.slice(1)];
    return ["ssh", [...ssh.options, "-p", String(ssh.port), ssh.destination, argv.map(quote).join(" ")]];
  }
}

/** Quotes an argument for a POSIX shell; ssh passes commands to one. */
export function quote(argument: string): string {
  return /^[A-Za-z0-9_/:=.,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** An image as the engine reports it. */
interface ImageFacts extends KeptImage {
  /** `repository@sha256:…` for each registry that has it. */
  readonly digests: readonly string[];
  /** Bottom layer first. */
  readonly layers: readonly string[];
}

/** Results of a lookup by name. */
export interface Inspected {
  readonly containers: ContainerFacts[];
  readonly images: ImageFacts[];
  /** IDs of the containers in the networks. */
  readonly members: string[];
}

/** Fields read from an image. */
export interface ImageInspect {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Size: number;
  readonly RootFS?: { readonly Layers?: readonly string[] };
  readonly Config?: {
    readonly Env?: readonly string[] | null;
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
  };
  readonly GraphDriver?: {
    readonly Name: string;
    readonly Data?: { readonly UpperDir?: string; readonly LowerDir?: string } | null;
  };
}

/** Fields read from the engine. */
export interface EngineInfo {
  /** The engine's data folder. */
  readonly DockerRootDir: string;
  /** The storage driver. */
  readonly Driver: string;
  /** The machine's memory in bytes. */
  readonly MemTotal: number;
}

/** The fields of a Swarm service that a stack uses. */
export interface SwarmServiceFacts {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The host names that resolve to it. */
  readonly names: readonly string[];
  readonly replicas: number;
  /** Time of creation by the Swarm's clock, in milliseconds since 1970. */
  readonly created: number;
}

/** Fields read from a Swarm task. */
export interface TaskListed {
  readonly ServiceID: string;
  readonly Status: {
    readonly Timestamp: string;
    readonly State: string;
    readonly Err?: string;
    readonly Message?: string;
    readonly ContainerStatus?: { readonly ExitCode?: number };
  };
}

/** Fields read from a Swarm service. */
interface ServiceInspect {
  readonly ID: string;
  readonly CreatedAt: string;
  readonly Spec: {
    readonly Name: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Mode?: { readonly Replicated?: { readonly Replicas?: number } };
    readonly TaskTemplate: {
      readonly Networks?: readonly { readonly Aliases?: readonly string[] | null }[] | null;
    };
  };
}

interface NetworkInspect {
  readonly Containers: Readonly<Record<string, unknown>> | null;
}

/** Go's os.ModeSymlink. */
const LINK = 2 ** 27;

/**
 * Returns the final target of a link, from the header of the engine's archive; empty if the path is not a
 * link.
 */
function linkTarget({ headers }: IncomingMessage): string {
  const said = Buffer.from(String(headers["x-docker-container-path-stat"]), "base64").toString();
  const stat = JSON.parse(said) as { readonly mode: number; readonly linkTarget: string };
  return stat.mode & LINK ? stat.linkTarget : "";
}

function imageFacts({ Id: id, RepoTags, RepoDigests, RootFS }: ImageInspect): ImageFacts {
  return { id, tags: RepoTags ?? [], digests: RepoDigests ?? [], layers: RootFS?.Layers ?? [] };
}

type Inspect = ContainerInspect | ImageInspect | NetworkInspect;

/** Fields read from a container. */
interface EngineEvent {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

interface ContainerInspect {
  readonly Id: string;
  readonly Name: string;
  readonly Created: string;
  readonly Image: string;
  readonly State: {
    readonly Running: boolean;
    readonly Restarting: boolean;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
    readonly StartedAt: string;
    readonly OOMKilled?: boolean;
  };
  readonly RestartCount: number;
  readonly Mounts?: readonly {
    readonly Type: Mount["kind"];
    readonly Name?: string;
    readonly Source?: string;
    readonly Destination: string;
  }[];
  readonly HostConfig: {
    readonly Tmpfs?: Readonly<Record<string, string>> | null;
    readonly ReadonlyRootfs?: boolean;
  };
  readonly NetworkSettings: {
    readonly Networks?: Readonly<
      Record<
        string,
        {
          readonly NetworkID: string;
          readonly IPAddress?: string;
          readonly Aliases?: readonly string[] | null;
          readonly DNSNames?: readonly string[] | null;
        }
      >
    >;
  };
}

function restartsOf({ State, RestartCount }: ContainerInspect): Restarts {
  const { Running, Restarting, ExitCode, OOMKilled } = State;
  return {
    times: RestartCount,
    exitCode: Running && !Restarting ? undefined : ExitCode,
    oomKilled: OOMKilled === true,
    restarting: Restarting,
  };
}

function containerFacts(it: ContainerInspect): ContainerFacts {
  const name = it.Name.replace(/^\//, "");
  const mounts = (it.Mounts ?? []).map(({ Type, Name, Source, Destination }) => ({
    kind: Type,
    source: Name ?? Source ?? "",
    destination: Destination,
  }));
  // `--tmpfs` mounts are not listed among the mounts.
  const tmpfs = Object.keys(it.HostConfig.Tmpfs ?? {}).map((destination) => ({
    kind: "tmpfs" as const,
    source: "",
    destination,
  }));
  return {
    id: it.Id,
    name,
    running: it.State.Running && !it.State.Restarting,
    health: it.State.Health?.Status,
    restarts: restartsOf(it),
    created: Date.parse(it.Created),
    started: Date.parse(it.State.StartedAt),
    image: it.Image,
    mounts: [...mounts, ...tmpfs],
    readOnly: it.HostConfig.ReadonlyRootfs === true,
    networks: Object.entries(it.NetworkSettings.Networks ?? {}).map(([network, of]) => ({
      id: of.NetworkID,
      name: network,
      address: of.IPAddress ?? "",
      // Engines from 25 on list all DNS names; older ones list the aliases.
      names: [name, ...(of.Aliases ?? []), ...(of.DNSNames ?? [])],
    })),
  };
}
