import type { ServiceConfig } from "../config";

/** What the proofs need to know of a service; what it is built and run with is none of it. */
export type ProvenService = Omit<ServiceConfig, "args" | "buildSecrets" | "env" | "secretEnv">;

/** Leaves out the values that a service is built and run with: some of them are secret. */
export function withoutValues({
  args: _,
  env: __,
  secretEnv: ___,
  buildSecrets: ____,
  ...service
}: ServiceConfig): ProvenService {
  return service;
}

/** One service of a release, as it was deployed. */
export interface DeployedService {
  readonly service: ProvenService;
  /** The container's id; on a Swarm, the service's. */
  readonly container: string;
  /** The image's digest. */
  readonly image: string;
  /** What the nodes of a Swarm pull, `address/repository@sha256:…`; absent: the image by its digest. */
  readonly reference?: string;
  /** The name that the deploy gave the image, `repository:tag`. */
  readonly tag?: string;
  /** The container's host name within the network. */
  readonly host: string;
}

/** A release that the edge leads to. */
export interface Deployment {
  readonly commit: string;
  readonly url: string;
  readonly edge: string;
  /** Names the release. */
  readonly id: string;
  /** The network of the edge and the services, by name. */
  readonly network: string;
  /** What runs it, where that is not the one engine. */
  readonly cluster?: "swarm";
  /** The edges on other nodes of the cluster, where there are any. */
  readonly followers?: Followers;
  /** Who signs the domain's certificate; absent: a public authority. */
  readonly tls?: "internal";
  readonly services: readonly DeployedService[];
  /** Whether other containers may join its networks without being in the way when Pulumi removes these. */
  readonly guests?: boolean;
  /** The search domains of the engine's machine, where it has some: a container that is made anew gets the same. */
  readonly domains?: readonly string[];
}

/** The edges on other nodes of the Swarm, which follow the manager's. */
export interface Followers {
  /** The service's id. */
  readonly service: string;
  /** Which nodes have one. */
  readonly constraints: readonly string[];
  /** The image that the manager's edge runs, and where that is in the registry. */
  readonly image: string;
  readonly reference: string;
}
