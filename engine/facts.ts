import type { NamedContainer, NetworkNames } from "../freshness/container/alias";
import type { Restarts } from "../freshness/container/ended";
import type { Mount } from "../freshness/container/mounts";
import type { KeptImage } from "../freshness/image/kept";

/** The facts of a container that the proofs use. */
export interface ContainerFacts extends NamedContainer {
  readonly running: boolean;
  /** Whether `docker pause` froze it: it runs and answers nothing. */
  readonly paused?: boolean;
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

/** An image as the engine reports it. */
export interface ImageFacts extends KeptImage {
  /** `repository@sha256:…` for each registry that has it. */
  readonly digests: readonly string[];
  /** Bottom layer first. */
  readonly layers: readonly string[];
}

/** Results of a lookup by name. */
export interface Inspected {
  readonly containers: ContainerFacts[];
  readonly images: ImageFacts[];
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
export interface ServiceInspect {
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

export interface NetworkInspect {
  readonly Containers: Readonly<Record<string, unknown>> | null;
}

export function imageFacts({ Id: id, RepoTags, RepoDigests, RootFS }: ImageInspect): ImageFacts {
  return { id, tags: RepoTags ?? [], digests: RepoDigests ?? [], layers: RootFS?.Layers ?? [] };
}

export type Inspect = ContainerInspect | ImageInspect;

/** An event of a container. */
export interface EngineEvent {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

/** Fields read from a container. */
export interface ContainerInspect {
  readonly Id: string;
  readonly Name: string;
  readonly Created: string;
  readonly Image: string;
  readonly State: {
    readonly Running: boolean;
    readonly Paused?: boolean;
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

export function containerFacts(it: ContainerInspect): ContainerFacts {
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
    paused: it.State.Paused === true,
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
