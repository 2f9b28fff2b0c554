import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { ApiError, EngineApi, ignoreUnknown } from "./api";
import { EngineCli, type EngineTarget } from "./cli";
import { logText } from "./containerLog";
import { localSocket } from "./dial";
import {
  type ContainerFacts,
  type ContainerInspect,
  containerFacts,
  type EngineEvent,
  type EngineInfo,
  type FileChange,
  type ImageInspect,
  type Inspect,
  type Inspected,
  imageFacts,
  type ListedContainer,
  type NetworkInspect,
  type ServiceInspect,
  type SwarmServiceFacts,
  type TaskListed,
} from "./facts";
import { lastLines } from "./mask";
import { EngineError, NO_PATH, unreachable } from "./problems";

/** Reads an engine over its API. */
export class EngineReads extends EngineCli {
  private informing: Promise<EngineInfo> | undefined;
  private asked: ReturnType<EngineReads["versions"]> | undefined;
  protected readonly api: EngineApi;

  /** @param mask removes secrets from container output */
  constructor(
    target: EngineTarget = {},
    private readonly mask: (text: string) => string = (text) => text,
  ) {
    super(target);
    const dial = () => this.commandLine(["system", "dial-stdio"]);
    this.api = new EngineApi(dial, target.ssh ? undefined : localSocket());
  }

  /** Opens connections to an engine on a server, for requests that follow at once. */
  openAhead(): void {
    if (this.target.ssh) this.api.openAhead();
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

  /** Reads containers by ID or name in one call; skips missing ones. */
  async inspectContainers(idsOrNames: readonly string[]): Promise<ContainerFacts[]> {
    return (await this.inspect(idsOrNames)).containers;
  }

  /** IDs of the running containers in any of these networks. */
  async containersIn(networks: readonly string[]): Promise<string[]> {
    const found = await Promise.all(
      networks.map((network) => this.api.find<NetworkInspect>(`/networks/${network}`)),
    );
    return [...new Set(found.flatMap((each) => Object.keys(each?.Containers ?? {})))];
  }

  /** Reads containers or images by ID or name; skips missing ones. */
  async inspect(names: readonly string[]): Promise<Inspected> {
    const found = await Promise.all([...new Set(names)].map((name) => this.find(name)));
    const all = found.filter((each) => each !== undefined);
    return {
      containers: all.flatMap((each) => ("State" in each ? [containerFacts(each)] : [])),
      images: all.flatMap((each) => ("RepoTags" in each ? [imageFacts(each)] : [])),
    };
  }

  private async find(name: string): Promise<Inspect | undefined> {
    if (/[:/]/.test(name)) return this.inspectImage(name);
    return (
      (await this.api.find<ContainerInspect>(`/containers/${name}/json`)) ?? (await this.inspectImage(name))
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
