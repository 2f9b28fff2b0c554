import * as pulumi from "@pulumi/pulumi";
import { imageOf, type ServiceConfig } from "../config/types";
import { deployedSite } from "../edge/site";
import { replicaName } from "../engine/edgeNames";
import { registryOf } from "../engine/registry";
import { overlaps } from "../freshness/container/database";
import { placesOf } from "../freshness/served/places";
import { type DeployedService, type Deployment, type Followers, withoutValues } from "../proof/deployment";
import { guardImage } from "./dataGuard";
import type { Prepared } from "./prepare";
import { SwarmPauses } from "./recreate";
import { hostName, readHostDomains, releaseId } from "./releaseNames";
import { imageRepository } from "./resourceNames";
import type { ServiceImages } from "./serviceImages";
import type { StackAccessories } from "./stackAccessories";

/** A volume as a container mounts it. */
interface Mounts {
  mounts(
    service: ServiceConfig,
  ): { readonly volumeName: pulumi.Output<string>; readonly containerPath: string }[];
}

/** What the containers of a release are connected to. */
interface Surroundings {
  readonly images: ServiceImages;
  readonly volumes: Mounts;
  readonly edge: { readonly containerId: pulumi.Output<string>; readonly network: pulumi.Output<string> };
  readonly accessories: StackAccessories;
  /** The network that spans a Swarm's nodes; absent on a single engine. */
  readonly overlay?: { readonly network: pulumi.Output<string>; readonly networkId: pulumi.Output<string> };
}

/** The outputs of a component that runs a service. */
interface RunningService {
  readonly containerIds: readonly pulumi.Output<string>[];
  readonly releaseCommand?: pulumi.Output<() => Promise<void>>;
}

/** What the record has of a container or a Swarm service that runs a service. It omits keys without a value. */
export function deployedService(
  service: ServiceConfig,
  {
    container,
    image,
    tag,
    id,
    replica,
    reference,
  }: Omit<DeployedService, "service" | "host"> & { readonly id: string },
): DeployedService {
  return {
    service: withoutValues(service),
    container,
    image,
    tag,
    host: hostName(replicaName(service.name, replica), id),
    ...(replica === undefined ? {} : { replica }),
    ...(reference === undefined ? {} : { reference }),
  };
}

/** The services of a release: the inputs of the components that run them, and their outputs. */
export class ReleaseServices {
  /** The release's ID in host names. */
  readonly id: pulumi.Output<string>;
  /** Stops the old tasks of a Swarm's service before its new ones start. */
  readonly pauses: SwarmPauses | undefined;
  private readonly hostDomains: pulumi.Output<readonly string[]>;
  private readonly running: pulumi.Input<DeployedService>[] = [];
  private readonly commands: Record<string, pulumi.Output<() => Promise<void>>> = {};
  private readonly guarded = new Map<string, pulumi.Output<string>>();
  private following: pulumi.Output<Followers> | undefined;

  constructor(
    private readonly deploy: Prepared,
    private readonly at: Surroundings,
  ) {
    const { config, plan, stack, engine, last, changesRun } = deploy;
    const images = pulumi.all(config.services.map((service) => at.images.of(service)));
    this.id = deploy.clock.mark("imageProofs", images).apply((all) =>
      releaseId(
        plan.commit,
        plan.run.id,
        all.map(({ digest }) => digest),
      ),
    );
    const { deployment } = last.record ?? {};
    // Containers that continue keep their names.
    this.hostDomains =
      changesRun && engine
        ? at.edge.containerId.apply((edge) => readHostDomains(engine, edge))
        : pulumi.output(deployment?.domains ?? []);
    this.pauses = at.overlay && engine && new SwarmPauses(engine, stack, deployment);
  }

  /** The inputs of a service of the release, on a single engine or on a Swarm. */
  serviceArgs(service: ServiceConfig) {
    const { config, labels, plan, access, engine, changesRun } = this.deploy;
    const { edge, overlay, volumes, images, accessories } = this.at;
    const { pauses } = this;
    const image = images.of(service);
    return {
      service,
      peers: config.services,
      image: this.imageOf(service),
      healthClient: image.healthClient,
      starts: image.starts,
      labels,
      release: this.id,
      publicUrl: placesOf({ url: config.publicUrl }, service.hosts)[0],
      names: { hostDomains: this.hostDomains },
      runsAlready: !changesRun,
      volumes: volumes.mounts(service),
      accessoryUrls: accessories.urls,
      accessorySecrets: accessories.secrets,
      pause: pauses && ((name: string) => pauses.pause(name, changesRun)),
      network: overlay?.network ?? edge.network,
      releaseOn: plan.isNew ? engine : undefined,
      cluster: overlay && {
        networkId: overlay.networkId,
        reference: this.referenceOf(service),
        registry: registryOf(config),
        commands: access.commands,
        server: access.server,
        engine,
      },
    };
  }

  /** Records what runs a service. */
  add(service: ServiceConfig, { containerIds, releaseCommand }: RunningService): void {
    const { names } = this.deploy;
    if (releaseCommand) this.commands[service.name] = releaseCommand;
    const reference = this.at.overlay && this.referenceOf(service);
    for (const [at, containerId] of containerIds.entries()) {
      const replica = containerIds.length === 1 ? undefined : at + 1;
      const deployed = pulumi.all([containerId, this.imageOf(service), this.id, reference]);
      this.running.push(
        deployed.apply(([container, image, id, reference]) => {
          const tag = `${names.repository(imageOf(service))}:${names.tag}`;
          return deployedService(service, { container, image, tag, id, replica, reference });
        }),
      );
    }
  }

  /** Edges on other nodes of a Swarm; undefined on a single engine, or if only the manager has an edge. */
  followerArgs() {
    const { config, labels, last, engine } = this.deploy;
    const { edge, overlay } = this.at;
    const registry = registryOf(config);
    if (!overlay || config.edges === "manager" || registry === undefined) return undefined;
    return {
      edges: config.edges,
      port: config.listen.port,
      networkId: overlay.networkId,
      labels,
      edge: edge.containerId,
      repository: imageRepository(pulumi.getProject(), this.deploy.stack),
      last: last.record?.deployment,
      registry,
      engine,
    };
  }

  follow({ followers }: { readonly followers: pulumi.Output<Followers> }): void {
    this.following = followers;
  }

  /** Networks that other containers may join; undefined for a release of an earlier version without them. */
  guestArgs() {
    const { access, stack } = this.deploy;
    const { edge, overlay } = this.at;
    if (!this.hasGuests) return undefined;
    return {
      networks: overlay ? [edge.network, overlay.network] : [edge.network],
      stack,
      server: access.server,
    };
  }

  /** Service → its release command, if it waits until the old container has stopped. */
  get releaseCommands(): pulumi.Output<Readonly<Record<string, () => Promise<void>>>> {
    return pulumi.all(this.commands);
  }

  /** The deployment for the edge to route to, once all its containers exist. */
  deployment(): pulumi.Output<Deployment> {
    const { config, plan, clock } = this.deploy;
    const { edge, overlay, accessories } = this.at;
    const { cluster, tls } = config;
    const running = clock.mark("services", pulumi.all(this.running));
    return pulumi
      .all([
        this.id,
        edge.containerId,
        overlay?.network ?? edge.network,
        running,
        this.following,
        this.hostDomains,
        accessories.deployed,
      ])
      .apply(
        ([id, edge, network, services, followers, domains, beside]): Deployment => ({
          commit: plan.commit,
          url: config.publicUrl,
          ...deployedSite(config),
          edge,
          id,
          network,
          services,
          // The record omits keys without a value.
          ...(cluster === undefined ? {} : { cluster }),
          ...(tls === "internal" ? { tls } : {}),
          ...(followers ? { followers } : {}),
          ...(beside.length > 0 ? { accessories: beside } : {}),
          ...(this.hasGuests ? { guests: true } : {}),
          ...(domains.length > 0 ? { domains } : {}),
        }),
      );
  }

  private get hasGuests(): boolean {
    return this.deploy.changesRun || this.deploy.last.record?.deployment?.guests === true;
  }

  /** The image's ID, after the check that the image does not start a second server on a volume. */
  private imageOf(service: ServiceConfig): pulumi.Output<string> {
    const { engine, changesRun } = this.deploy;
    const known = this.guarded.get(service.name);
    if (known) return known;
    const { digest } = this.at.images.of(service);
    const guarded =
      !changesRun || !engine || !overlaps(service)
        ? digest
        : digest.apply(async (id) => {
            await guardImage(engine, service, id).catch((cause: Error) => {
              throw new pulumi.RunError(cause.message);
            });
            return id;
          });
    this.guarded.set(service.name, guarded);
    return guarded;
  }

  /** The reference that the nodes of a Swarm pull. */
  private referenceOf(service: ServiceConfig): pulumi.Output<string> {
    return this.at.images.of(service).apply(({ pushed, digest }) => pushed ?? digest);
  }
}
