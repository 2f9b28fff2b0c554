import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { type Starts, startsInit } from "../freshness/container/initProgram";
import type { Labels } from "../release/labels";
import { hostName, type NameSearch, releaseDomain, searchDomains } from "../release/releaseNames";
import { secretResources } from "../release/resourceNames";
import { recreates, runContainer } from "./run/container";
import { environment } from "./run/environment";
import { healthCheck } from "./run/healthCheck";
import { runReleaseCommand } from "./run/releaseCommand";
import type { ClusterPlace, MountedVolume, RunSpec } from "./run/spec";
import { runService } from "./run/swarmService";

export interface WebServiceArgs {
  readonly service: ServiceConfig;
  /** All services of the release: each container finds the others by `<SERVICE>_URL`. */
  readonly peers: readonly ServiceConfig[];
  /** The image's digest. */
  readonly image: pulumi.Input<string>;
  /** What Docker's own health check can use in the image; with `none` the deploy alone asks, from outside. */
  readonly healthClient: pulumi.Input<string>;
  /** What the image starts, if known: docker-init goes before it unless it is an init itself. */
  readonly starts: pulumi.Input<Starts | undefined>;
  /** The name of the network that the edge shares. */
  readonly network: pulumi.Input<string>;
  /** Names the release in host names: no alias is ever shared by two releases. */
  readonly release: pulumi.Input<string>;
  readonly labels: Labels;
  /** `NAME=value` of what runs beside the releases, once it is healthy. Default: none. */
  readonly accessoryUrls?: pulumi.Output<Readonly<Record<string, string>>>;
  /** What the release command's log does not repeat, besides the service's own secrets. Default: nothing. */
  readonly accessorySecrets?: readonly string[];
  /** The public address: the health check asks as a user of it would. */
  readonly publicUrl: string;
  readonly names: NameSearch;
  /** Whether this very release runs already: what the program writes otherwise since changes none of its containers. */
  readonly runsAlready: boolean;
  readonly volumes: readonly MountedVolume[];
  /** Where it runs on a Swarm; absent: a container of the one engine. */
  readonly cluster?: ClusterPlace;
  /** On a Swarm: stops what runs of the service before its next one is made; absent where none is. */
  readonly pause?: (service: string) => Promise<void>;
  /** Where the release's command is to be run before its container starts: the engine that runs it. */
  readonly releaseOn?: DockerEngine;
}

/**
 * One service of a release. A new container starts beside the old one, which goes only when all else has succeeded; it
 * has no fixed name, so that a failed create never blocks the next one.
 */
export class WebService extends pulumi.ComponentResource {
  readonly containerId: pulumi.Output<string>;
  /** The release command that is still to run, where the old container has to stop before it. */
  readonly releaseCommand?: pulumi.Output<() => Promise<void>>;

  constructor(name: string, args: WebServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:WebService", name, {}, opts);
    const { service, peers, network, release, labels, volumes } = args;
    const child = { parent: this };
    const envs = pulumi
      .all([release, args.accessoryUrls ?? {}])
      .apply(([id, urls]) => environment(service, peers, id, urls));
    const waits = recreates(service, args.cluster);
    const commanding =
      service.releaseCommand === undefined
        ? undefined
        : // Of what the command was given, nothing is in the image's name.
          pulumi.unsecret(
            pulumi
              .all([args.image, envs, network, volumes, searchDomains(release, args.names)])
              .apply(([image, env, network, mounted, search]) => ({
                image,
                run: () => runReleaseCommand(args, { image, env, network, mounted, search }),
              })),
          );
    if (waits && !pulumi.runtime.isDryRun()) this.releaseCommand = commanding?.apply(({ run }) => run);
    const { pause } = args;
    const pauses = service.strategy === "recreate" && args.cluster !== undefined && pause !== undefined;
    const paused = async () => (pauses ? pause(name) : undefined);
    const image = waits
      ? args.image
      : commanding !== undefined
        ? commanding.apply(async ({ image, run }) => {
            await paused();
            await run();
            return image;
          })
        : pauses
          ? pulumi.output(args.image).apply(async (image) => {
              await paused();
              return image;
            })
          : args.image;
    const healthcheck = pulumi
      .output(args.healthClient)
      .apply((client) =>
        client !== "none" && service.port !== undefined
          ? healthCheck(service, args.publicUrl, args.cluster)
          : undefined,
      );
    const host = pulumi.output(release).apply((id) => hostName(name, id));
    const aliases = pulumi
      .output(release)
      .apply((id) => [hostName(name, id), `${name}.${releaseDomain(id)}`]);
    const search = searchDomains(release, args.names);
    const secrets = peers.map((peer) => [peer.name, Object.keys(peer.secretEnv)] as const);
    const secretNames = secretResources(Object.fromEntries(secrets))[name] ?? {};
    const init = service.init ?? pulumi.output(args.starts).apply((starts) => !startsInit(starts, service));
    const spec: RunSpec = {
      service,
      init,
      image,
      envs,
      host,
      aliases,
      search,
      network,
      healthcheck,
      volumes,
      labels,
      secretNames,
      cluster: args.cluster,
    };
    const { cluster, runsAlready } = args;
    const ignoreChanges = cluster === undefined ? WRITTEN_AGAIN.container : WRITTEN_AGAIN.service;
    const runOpts = runsAlready ? { ...child, ignoreChanges } : child;
    this.containerId =
      cluster === undefined ? runContainer(name, spec, runOpts) : runService(name, spec, cluster, runOpts);
    this.registerOutputs({ containerId: this.containerId });
  }
}

/** What the program alone decides of a container, and a newer version of it may write otherwise. */
const WRITTEN_AGAIN = {
  container: ["healthcheck", "capabilities", "networksAdvanced[0].aliases", "dnsSearches", "dnsOpts"],
  service: [
    "taskSpec.containerSpec.healthcheck",
    "taskSpec.containerSpec.capAdds",
    "taskSpec.containerSpec.dnsConfig",
    "taskSpec.networksAdvanceds[0].aliases",
  ],
};
