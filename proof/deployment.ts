import type { ServiceConfig } from "../config/types";
import { replicaName } from "../engine/edgeNames";
import type { DeployedAccessory } from "../freshness/container/accessory";

/** The settings of a service that the proofs use, without its build and run values. */
export type ProvenService = Omit<ServiceConfig, "args" | "buildSecrets" | "env" | "secretEnv">;

/** Removes the values of args and variables: some are secret. */
export function withoutValues({
  args: _,
  env: __,
  secretEnv: ___,
  buildSecrets: ____,
  ...service
}: ServiceConfig): ProvenService {
  return service;
}

/** A deployed service of a release. */
export interface DeployedService {
  readonly service: ProvenService;
  /** Container ID; on a Swarm the service's ID. */
  readonly container: string;
  /** The image's digest. */
  readonly image: string;
  /** Reference that Swarm nodes pull, `address/repository@sha256:…`; absent: the image is used by its digest. */
  readonly reference?: string;
  /** Image name of the deploy, `repository:tag`. */
  readonly tag?: string;
  /** The container's host name within the network. */
  readonly host: string;
  /** Its number among the replicas on a single engine, from 1; absent without others. */
  readonly replica?: number;
}

/** The path below which the edge answers with a container's version. */
export function proofAddress({ service, replica }: Pick<DeployedService, "service" | "replica">): string {
  return `/.freshness/${replicaName(service.name, replica)}`;
}

/** Each service once: replicas on a single engine are entries of their own. */
export function withoutReplicas<T extends { readonly service: { readonly name: string } }>(
  services: readonly T[],
): T[] {
  return services.filter(
    ({ service }, at) => services.findIndex((each) => each.service.name === service.name) === at,
  );
}

/** A release behind the edge. */
export interface Deployment {
  readonly commit: string;
  readonly url: string;
  /** Names that the edge answers to besides that of `url` and those of services; absent without any. */
  readonly otherNames?: readonly string[];
  /** Lets the program's requests pass the edge's basic authentication; absent without one. */
  readonly proofKey?: string;
  /** Key of the edge → a hash of its value, by which a preview says what changes. Absent without such keys. */
  readonly edgeKeys?: Readonly<Record<string, string>>;
  /** The stack of the front that it is behind; absent if its edge has a port of its own. */
  readonly behind?: string;
  readonly edge: string;
  /** Release ID. */
  readonly id: string;
  /** The network of the edge and the services, by name. */
  readonly network: string;
  /** Set on a Swarm; absent on a single engine. */
  readonly cluster?: "swarm";
  /** Edges on other nodes of the cluster, if any. */
  readonly followers?: Followers;
  /** Who signs the domain's certificate; absent: a public authority. */
  readonly tls?: "internal";
  readonly services: readonly DeployedService[];
  /** What runs beside the releases; absent where nothing does. */
  readonly accessories?: readonly DeployedAccessory[];
  /**
   * Whether other containers may join its networks. The program disconnects them before Pulumi removes the networks.
   */
  readonly guests?: boolean;
  /** Search domains of the engine's machine, if any: a recreated container gets the same. */
  readonly domains?: readonly string[];
}

/** IDs of the containers or services of deployments, their edges and accessories included. */
export function idsOf(deployments: readonly (Deployment | undefined)[]): string[] {
  return deployments.flatMap((of) =>
    of
      ? [
          of.edge,
          of.followers?.service ?? [],
          [...of.services, ...(of.accessories ?? [])].map(({ container }) => container),
        ].flat()
      : [],
  );
}

/** Edges on other Swarm nodes. They follow the manager's edge. */
export interface Followers {
  /** The service's id. */
  readonly service: string;
  /** Placement constraints of the nodes that have one. */
  readonly constraints: readonly string[];
  /** Image of the manager's edge, and its reference in the registry. */
  readonly image: string;
  readonly reference: string;
}
