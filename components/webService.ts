import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { type Starts, startsInit } from "../freshness/container/initProgram";
import type { Labels } from "../release/labels";
import { hostName, type NameSearch, releaseDomain, searchDomains } from "../release/releaseNames";
import { secretResources } from "../release/resourceNames";
import { runReplicas } from "./run/container";
import { environment } from "./run/environment";
import { healthCheck } from "./run/healthCheck";
import { scheduledRun } from "./run/schedule";
import type { ClusterPlace, MountedVolume, RunSpec } from "./run/spec";
import { startImage } from "./run/startImage";
import { runService } from "./run/swarmService";

export interface WebServiceArgs {
  /** Its settings, as in the configuration key `services`. */
  readonly service: ServiceConfig;
  /** All services of the release. Each container reaches the others through `<SERVICE>_URL`. */
  readonly peers: readonly ServiceConfig[];
  /** The image's digest. */
  readonly image: pulumi.Input<string>;
  /** What Docker's own health check can use in the image. With `none`, only the deploy checks, from outside. */
  readonly healthClient: pulumi.Input<string>;
  /** What the image starts, if known. docker-init runs as its parent, unless the image starts an init itself. */
  readonly starts: pulumi.Input<Starts | undefined>;
  /** The name of the network that the edge shares. */
  readonly network: pulumi.Input<string>;
  /** The release's ID in host names. Two releases never share an alias. */
  readonly release: pulumi.Input<string>;
  /** The labels of what the engine has of the stack. */
  readonly labels: Labels;
  /** `NAME=value` for each accessory, once it is healthy. Default: none. */
  readonly accessoryUrls?: pulumi.Output<Readonly<Record<string, string>>>;
  /** Values that the release command's log must not contain, besides the service's own secrets. Default: none. */
  readonly accessorySecrets?: readonly string[];
  /** The public address. The health check sends requests as a user of it would. */
  readonly publicUrl: string;
  /** The search domains of the engine's machine. */
  readonly names: NameSearch;
  /**
   * Whether this release already runs. Changes in how the program writes its properties do not replace its containers
   * then.
   */
  readonly runsAlready: boolean;
  /** The volumes that its container mounts. */
  readonly volumes: readonly MountedVolume[];
  /** Where it runs on a Swarm; absent for a container on a single engine. */
  readonly cluster?: ClusterPlace;
  /** On a Swarm: stops the service's running tasks before its next service is created; absent if not needed. */
  readonly pause?: (service: string) => Promise<void>;
  /** The engine that runs the release command, if the command runs before the service's container starts. */
  readonly releaseOn?: DockerEngine;
}

/**
 * A service of a release. A new container starts beside the old one, which is removed only after everything else has
 * succeeded. It has no fixed name, so a failed create never blocks the next one.
 */
export class WebService extends pulumi.ComponentResource {
  /** The ID of the first container; on a Swarm, of the service. */
  readonly containerId: pulumi.Output<string>;
  /** The containers of all replicas on a single engine; on a Swarm the service. */
  readonly containerIds: readonly pulumi.Output<string>[];
  /** The release command, if it runs after the old container has stopped. */
  readonly releaseCommand?: pulumi.Output<() => Promise<void>>;

  constructor(name: string, args: WebServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:WebService", name, {}, opts);
    const { service, peers, network, release, labels, volumes } = args;
    const child = { parent: this };
    const envs = pulumi
      .all([release, args.accessoryUrls ?? {}])
      .apply(([id, urls]) => environment(service, peers, id, urls));
    const { image, releaseCommand } = startImage(name, args, envs);
    this.releaseCommand = releaseCommand;
    const asked = pulumi
      .output(args.healthClient)
      .apply((client) =>
        client !== "none" && service.port !== undefined
          ? healthCheck(service, args.publicUrl, args.cluster)
          : undefined,
      );
    // Its headers may be credentials.
    const healthcheck = service.healthHeaders ? pulumi.secret(asked) : asked;
    const host = pulumi.output(release).apply((id) => hostName(name, id));
    const aliases = pulumi
      .output(release)
      .apply((id) => [hostName(name, id), `${name}.${releaseDomain(id)}`]);
    const search = searchDomains(release, args.names);
    const secrets = peers.map((peer) => [peer.name, Object.keys(peer.secretEnv)] as const);
    const secretNames = secretResources(Object.fromEntries(secrets))[name] ?? {};
    const scheduled = scheduledRun(name, { ...args, labels }, child);
    const init =
      service.init ??
      pulumi.output(args.starts).apply((starts) => scheduled !== undefined || !startsInit(starts, service));
    const spec: RunSpec = {
      service: scheduled?.service ?? service,
      init,
      image,
      command: scheduled?.command,
      envs,
      host,
      aliases,
      search,
      network,
      healthcheck,
      volumes: scheduled ? [...volumes, scheduled.volume] : volumes,
      labels,
      secretNames,
      cluster: args.cluster,
    };
    const { cluster, runsAlready } = args;
    const ignoreChanges = cluster === undefined ? [...WRITTEN_AGAIN.container] : WRITTEN_AGAIN.service;
    if (scheduled) ignoreChanges.push("command");
    const runOpts = runsAlready ? { ...child, ignoreChanges } : child;
    this.containerIds =
      cluster === undefined
        ? runReplicas(name, spec, release, runOpts)
        : [runService(name, spec, cluster, runOpts)];
    this.containerId = this.containerIds[0] ?? pulumi.output("");
    this.registerOutputs({ containerId: this.containerId });
  }
}

/** Container properties that only the program determines, and that a newer version may write differently. */
const WRITTEN_AGAIN = {
  container: ["healthcheck", "capabilities", "networksAdvanced[0].aliases", "dnsSearches", "dnsOpts"],
  service: [
    "taskSpec.containerSpec.healthcheck",
    "taskSpec.containerSpec.capAdds",
    "taskSpec.containerSpec.dnsConfig",
    "taskSpec.networksAdvanceds[0].aliases",
  ],
};
