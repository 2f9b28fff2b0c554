import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import execa from "execa";
import pLimit from "p-limit";
import type { Restarts } from "../freshness/container";
import type { NamedContainer, NetworkNames } from "../freshness/container/alias";
import type { Mount } from "../freshness/container/mounts";
import type { KeptImage } from "../freshness/image/kept";
import { getOver } from "./http";
import { EngineError, ignoreMissing, onlyMissing, unreachable } from "./problems";
import type { SshTarget } from "./ssh";

/** How the docker CLI reaches the engine: on this machine, or on a server over ssh. */
export interface EngineTarget {
  readonly ssh?: SshTarget;
}

/** What the chain needs to know of a container. */
export interface ContainerFacts extends NamedContainer {
  readonly running: boolean;
  /** How often the engine has started it anew after it had ended by itself. */
  readonly restarts: Restarts;
  /** The image's id, `sha256:…`. */
  readonly image: string;
  readonly mounts: readonly Mount[];
  /** Whether nothing in it can be written but in its mounts. */
  readonly readOnly: boolean;
  /** With its IPv4 address in each, empty where it has none. */
  readonly networks: readonly (NetworkNames & { readonly address: string })[];
}

/** One difference between a container and its image. */
export interface FileChange {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
}

/** HTTP clients an image may hold, cheapest first: Docker's own health check needs one inside the container. */
export const HTTP_CLIENTS = ["wget", "curl", "python3", "node"] as const;
export type HttpClient = (typeof HTTP_CLIENTS)[number];

/**
 * How many outputs are read at once: with all that is asked for beside them, they share one login over ssh, which has ten
 * sessions. Each more would log in for itself, which takes longer than waiting.
 */
const STREAMS = 6;

/** The one way to a Docker engine: everything that is asked of it goes through here. */
export class DockerEngine {
  private readonly temporary = new Set<string>();
  private watchesExit = false;
  private readonly streams = pLimit(STREAMS);
  private storing: Promise<{ root: string; driver: string }> | undefined;

  constructor(private readonly target: EngineTarget = {}) {}

  /** Runs a docker command and returns its standard output. */
  async docker(
    args: readonly string[],
    options: { input?: string; timeoutSeconds?: number; outlives?: boolean } = {},
  ): Promise<string> {
    const { failed, stdout, stderr } = await this.execute(args, options);
    if (!failed) return stdout;
    throw new EngineError(`docker ${args[0]}: ${stderr}`);
  }

  /** Runs a docker command to its end; where it failed, `stderr` says why. */
  private async execute(
    args: readonly string[],
    options: { input?: string; timeoutSeconds?: number; outlives?: boolean } = {},
  ): Promise<{ failed: boolean; stdout: string; stderr: string }> {
    const [file, argv] = this.commandLine(args);
    const result = await execa(file, argv, {
      // An empty pipe would break when a command ends before it is read.
      ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
      timeout: (options.timeoutSeconds ?? 60) * 1000,
      ...(options.outlives ? { detached: true, cleanup: false } : {}),
      reject: false,
    });
    const words = (result.stderr ?? "").trim() || (result as { shortMessage?: string }).shortMessage;
    return { failed: result.failed, stdout: result.stdout ?? "", stderr: words ?? "" };
  }

  /** Hands a docker command's output to a reader as it comes, as bytes: an image can be larger than memory. */
  async stream<T>(
    args: readonly string[],
    read: (output: AsyncIterable<Uint8Array>) => Promise<T>,
    options: { timeoutSeconds?: number } = {},
  ): Promise<T> {
    return this.streams(() => this.streamNow(args, read, options));
  }

  private async streamNow<T>(
    args: readonly string[],
    read: (output: AsyncIterable<Uint8Array>) => Promise<T>,
    options: { timeoutSeconds?: number },
  ): Promise<T> {
    const [file, argv] = this.commandLine(args);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, { stdin: "ignore", buffer: false, timeout, reject: false });
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

  /** Loads an archive of images as it comes. */
  async load(archive: AsyncIterable<Uint8Array>, options: { timeoutSeconds?: number } = {}): Promise<void> {
    const [file, argv] = this.commandLine(["image", "load", "--quiet"]);
    const timeout = (options.timeoutSeconds ?? 60) * 1000;
    const child = execa(file, argv, { input: Readable.from(archive), timeout, reject: false });
    const { failed, stderr, shortMessage } = (await child) as Awaited<typeof child> & {
      shortMessage?: string;
    };
    if (failed) throw new EngineError(`docker image load: ${stderr.trim() || shortMessage}`);
  }

  /** @throws EngineError with what to do where the engine does not answer or is not allowed */
  async assertReachable(): Promise<void> {
    await this.docker(["version", "--format", "{{.Server.Version}}"], { timeoutSeconds: 20 }).catch(
      (cause: Error) => {
        throw new EngineError(unreachable(cause.message));
      },
    );
  }

  /** Containers by id or name, all in one call; those that are gone are left out. */
  async inspectContainers(idsOrNames: readonly string[]): Promise<ContainerFacts[]> {
    return (await this.inspect(idsOrNames)).containers;
  }

  /** The ids of the containers that run in any of these networks. */
  async containersIn(networks: readonly string[]): Promise<string[]> {
    return (await this.inspect(networks)).members;
  }

  /**
   * Containers, images and networks by id or name, all in one call, for each call is a process; those that are gone are
   * left out.
   */
  async inspect(names: readonly string[]): Promise<Inspected> {
    if (names.length === 0) return { containers: [], images: [], members: [] };
    const { failed, stdout, stderr } = await this.execute(["inspect", ...new Set(names)]);
    // What is there is printed, whatever else is not.
    if (failed && !onlyMissing(stderr)) throw new EngineError(`docker inspect: ${stderr}`);
    const all: Inspect[] = JSON.parse(stdout);
    return {
      containers: all.flatMap((each) => ("State" in each ? [containerFacts(each)] : [])),
      images: all.flatMap((each) => ("RepoTags" in each ? [imageFacts(each)] : [])),
      members: [
        ...new Set(all.flatMap((each) => ("Containers" in each ? Object.keys(each.Containers ?? {}) : []))),
      ],
    };
  }

  /** What differs between a container's files and its image's: `A` added, `C` changed, `D` deleted, and the path. */
  async changedFiles(container: string): Promise<FileChange[]> {
    const lines = (await this.docker(["diff", container])).split("\n").filter((line) => line !== "");
    return lines.map((line) => ({ kind: line[0] as FileChange["kind"], path: line.slice(2) }));
  }

  /** The images' sizes in bytes, 0 for one that is gone. */
  async imageSizes(ids: readonly string[]): Promise<number[]> {
    return Promise.all(
      ids.map(async (id) =>
        Number(
          (await this.docker(["image", "inspect", "--format", "{{.Size}}", id]).catch(ignoreMissing)) ?? 0,
        ),
      ),
    );
  }

  /** The memory of the engine's machine, in bytes. */
  async memory(): Promise<number> {
    return Number((await this.docker(["info", "--format", "{{.MemTotal}}"])).trim());
  }

  /** Fetches an image from its registry. */
  async pull(name: string): Promise<void> {
    await this.docker(["image", "pull", "--quiet", name], { timeoutSeconds: 30 * 60 });
  }

  /**
   * The digest that an image's registry has under its name now; undefined where it does not tell. The engine is asked by its
   * API, for the CLI has no such command.
   */
  async registryDigest(name: string, timeoutSeconds = 5): Promise<string | undefined> {
    const [file, argv] = this.commandLine(["system", "dial-stdio"]);
    const timeout = timeoutSeconds * 1000;
    const child = execa(file, argv, { buffer: false, timeout, reject: false });
    const path = `/v1.40/distribution/${encodeURI(name)}/json`;
    try {
      const { status, body } = await getOver(child.stdin!, child.stdout!, path, timeout);
      return status === 200 ? JSON.parse(body).Descriptor?.digest : undefined;
    } catch {
      return undefined;
    } finally {
      child.kill();
    }
  }

  /** The engine's own folder and the driver that keeps its images there; asked once. */
  storage(): Promise<{ root: string; driver: string }> {
    this.storing ??= this.docker(["info", "--format", "{{.DockerRootDir}}\t{{.Driver}}"]).then((said) => {
      const [root = "", driver = ""] = said.trim().split("\t");
      return { root, driver };
    });
    return this.storing;
  }

  /** Free bytes where the engine keeps its images, or undefined where that cannot be seen from here. */
  async freeBytes(): Promise<number | undefined> {
    const { root } = await this.storage();
    if (this.target.ssh) {
      const lines = (await this.shell(["df", "-Pk", root]).catch(() => "")).trim().split("\n");
      const kilobytes = Number(lines.at(-1)?.split(/\s+/)[3]);
      return Number.isFinite(kilobytes) ? kilobytes * 1024 : undefined;
    }
    if (!existsSync(root)) return undefined;
    const { bavail, bsize } = await statfs(root);
    return bavail * bsize;
  }

  /** The client Docker's own health check can use in this image; undefined for an image without one, or without a shell. */
  async httpClient(image: string): Promise<HttpClient | undefined> {
    const script = `for each in ${HTTP_CLIENTS.join(" ")}; do command -v "$each" >/dev/null && echo "$each" && exit; done`;
    const run = ["run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", image, "-c", script];
    // It goes on when this process ends, as it does when another resource fails: then --rm still has its turn.
    const found = (await this.docker(run, { outlives: true }).catch(() => "")).trim();
    return HTTP_CLIENTS.find((client) => client === found);
  }

  /** Replaces a file in a running container by rename: a reader sees the old content or the new one, nothing between. */
  async replaceFile(container: string, path: string, content: string): Promise<void> {
    const script = 'cat > "$1.new" && mv "$1.new" "$1"';
    await this.docker(["exec", "-i", container, "sh", "-c", script, "sh", path], { input: content });
  }

  /** A name for a container that goes with this process, which may end at any moment when another resource fails. */
  temporaryName(): string {
    if (!this.watchesExit) process.once("exit", () => this.removeLeftBehind());
    this.watchesExit = true;
    const name = `watch-party-probe-${randomBytes(6).toString("hex")}`;
    this.temporary.add(name);
    return name;
  }

  /** Removes containers of temporary names. */
  async removeTemporary(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.docker(["container", "rm", "--volumes", ...names]);
    for (const name of names) this.temporary.delete(name);
  }

  private removeLeftBehind(): void {
    if (this.temporary.size === 0) return;
    const [file, argv] = this.commandLine(["container", "rm", "--force", "--volumes", ...this.temporary]);
    spawn(file, argv, { detached: true, stdio: "ignore" }).unref();
  }

  /**
   * Removes images of repositories and of their stages (`repository/STAGE`): of the former all but those of the given tags.
   * An image that a container was made from stays.
   *
   * @param kept repository → the tags that stay
   */
  async keepTags(kept: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const format = "{{.Repository}}:{{.Tag}}";
    const of = [...kept.keys()].flatMap((each) => [`reference=${each}`, `reference=${each}/*`]);
    const filters = of.flatMap((each) => ["--filter", each]);
    const names = (await this.docker(["image", "ls", ...filters, "--format", format])).split("\n");
    const stay = new Set(
      [...kept].flatMap(([repository, tags]) => tags.map((tag) => `${repository}:${tag}`)),
    );
    const old = names.filter((name) => name !== "" && !name.endsWith(":<none>") && !stay.has(name));
    await this.removeTags(old);
  }

  /** Removes images' names, and the images that have no other; one that a container was made from stays. */
  async removeTags(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    // What can be removed is, whatever else is not.
    const { failed, stderr } = await this.execute(["image", "rm", ...names]);
    const others = stderr.split("\n").filter((line) => !/is (being )?us(ed|ing)|No such image/i.test(line));
    if (failed && others.length > 0) throw new EngineError(`docker image: ${others.join("\n")}`);
  }

  /**
   * Runs a shell script on the engine's machine to its end.
   *
   * @throws EngineError with what it said on standard error
   */
  async script(
    script: string,
    { input, minutes = 5 }: { input?: string; minutes?: number } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    const [file, args] = this.wrap(["sh", "-euc", script]);
    // An empty pipe would break when a script ends before it is read, and its own words would be lost.
    const stdin = input === undefined ? { stdin: "ignore" as const } : { input };
    const result = await execa(file, args, { ...stdin, timeout: minutes * 60_000, reject: false });
    if (!result.failed) return result;
    const { shortMessage } = result as { shortMessage?: string };
    // What was run says nothing, and may be long: its first line would be all of the message.
    throw new EngineError(result.stderr.trim() || shortMessage?.split(": ")[0] || "failed");
  }

  private async shell(argv: readonly string[]): Promise<string> {
    const [file, args] = this.wrap(argv);
    return (await execa(file, args, { timeout: 60_000 })).stdout;
  }

  private commandLine(args: readonly string[]): [string, string[]] {
    return this.wrap(["docker", ...args]);
  }

  private wrap(argv: readonly string[]): [string, string[]] {
    const { ssh } = this.target;
    if (!ssh) return [argv[0]!, argv.slice(1)];
    return ["ssh", [...ssh.options, "-p", String(ssh.port), ssh.destination, argv.map(quote).join(" ")]];
  }
}

/** Quotes an argument for a POSIX shell, which is what ssh hands a command to. */
export function quote(argument: string): string {
  return /^[A-Za-z0-9_/:=.,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** What the engine has of an image. */
interface ImageFacts extends KeptImage {
  /** `repository@sha256:…` of each registry that it came from or went to. */
  readonly digests: readonly string[];
  /** The first one at the bottom. */
  readonly layers: readonly string[];
}

/** What the engine has of names that were asked for. */
export interface Inspected {
  readonly containers: ContainerFacts[];
  readonly images: ImageFacts[];
  /** The ids of the containers in the networks. */
  readonly members: string[];
}

/** What is read of an image. */
interface ImageInspect {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly RootFS?: { readonly Layers?: readonly string[] };
}

function imageFacts({ Id: id, RepoTags, RepoDigests, RootFS }: ImageInspect): ImageFacts {
  return { id, tags: RepoTags ?? [], digests: RepoDigests ?? [], layers: RootFS?.Layers ?? [] };
}

type Inspect =
  | ContainerInspect
  | ImageInspect
  | { readonly Containers: Readonly<Record<string, unknown>> | null };

/** What is read of a container. */
interface ContainerInspect {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly State: { readonly Running: boolean; readonly Restarting: boolean; readonly ExitCode: number };
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

function containerFacts(it: ContainerInspect): ContainerFacts {
  const name = it.Name.replace(/^\//, "");
  const mounts = (it.Mounts ?? []).map(({ Type, Name, Source, Destination }) => ({
    kind: Type,
    source: Name ?? Source ?? "",
    destination: Destination,
  }));
  // What `--tmpfs` asks for is not among the mounts.
  const tmpfs = Object.keys(it.HostConfig.Tmpfs ?? {}).map((destination) => ({
    kind: "tmpfs" as const,
    source: "",
    destination,
  }));
  return {
    id: it.Id,
    name,
    running: it.State.Running && !it.State.Restarting,
    restarts: { times: it.RestartCount, exitCode: it.State.ExitCode },
    image: it.Image,
    mounts: [...mounts, ...tmpfs],
    readOnly: it.HostConfig.ReadonlyRootfs === true,
    networks: Object.entries(it.NetworkSettings.Networks ?? {}).map(([network, of]) => ({
      id: of.NetworkID,
      name: network,
      address: of.IPAddress ?? "",
      // Engines from 25 on tell all of a container's names; what an older one tells is its aliases.
      names: [name, ...(of.Aliases ?? []), ...(of.DNSNames ?? [])],
    })),
  };
}
