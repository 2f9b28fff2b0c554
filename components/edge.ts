import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { waitingCaddyfile } from "../edge/caddy";
import { START } from "../edge/size";
import { EDGE_IMAGE } from "../engine/edgeNames";
import { EDGE_SERVICE } from "../freshness/labels";
import { type Labels, labelList } from "../release/labels";

export interface EdgeArgs {
  /** The address and the port on which it listens without a domain. */
  readonly listen: DeployConfig["listen"];
  /** With a domain, the edge listens on 80 and 443 of all addresses, with automatic HTTPS. */
  readonly domain?: string;
  /** The front that passes its requests on: the edge then publishes no port. Default: none. */
  readonly front?: {
    /** The network of the front. */
    readonly network: string;
    /** The names in it at which the front finds this edge. */
    readonly aliases: readonly string[];
  };
  /** The memory limit of a new edge in MiB, including swap. */
  readonly memoryMb: pulumi.Input<number>;
  /** The labels of what the engine has of the stack. */
  readonly labels: Labels;
  /** Awaited before the edge is created, once its network and volumes exist. Removes what uses its address. */
  readonly handOver?: () => Promise<void>;
}

/**
 * The only public address: Caddy in a container, on a network that it shares with the services. The switch writes its
 * routes and the current release to files in a volume. A restart of the edge keeps them, and a new release does not
 * replace the edge.
 */
export class Edge extends pulumi.ComponentResource {
  /** The ID of its container. */
  readonly containerId: pulumi.Output<string>;
  /** The name of its network. */
  readonly network: pulumi.Output<string>;

  constructor(name: string, args: EdgeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:Edge", name, {}, opts);
    const { listen, domain } = args;
    const child = { parent: this };
    // Whatever the resource is called: what stops the containers of a refused release knows the edge by this label.
    const labels = labelList({ ...args.labels, service: EDGE_SERVICE });
    const network = new docker.Network(`${name}-network`, { labels }, child);
    const routes = new docker.Volume(`${name}-routes`, { labels }, child);
    const certificates = new docker.Volume(`${name}-certificates`, { labels }, child);
    const { handOver, front } = args;
    const own = { name: network.name, aliases: [name] };
    const networks = front ? [own, { name: front.network, aliases: [...front.aliases] }] : [own];
    const image = handOver
      ? pulumi.all([network.id, routes.id, certificates.id]).apply(async () => {
          await handOver();
          return EDGE_IMAGE;
        })
      : EDGE_IMAGE;
    const container = new docker.Container(
      name,
      {
        image,
        command: ["sh", "-c", START],
        envs: [`WAITING=${waitingCaddyfile()}`],
        networksAdvanced: networks,
        ports: front ? undefined : publicPorts(listen, domain !== undefined),
        volumes: [
          { volumeName: routes.name, containerPath: "/edge" },
          { volumeName: certificates.name, containerPath: "/data" },
        ],
        ...caddyOptions(args.memoryMb),
        labels,
      },
      // Two containers cannot publish the same port, so a changed address removes the old edge first. Ignored
      // properties keep the edge's current values if a change is not necessary: an edge of an earlier version has its
      // capability without `CAP_`. The switch sets the memory of a running edge.
      {
        ...child,
        deleteBeforeReplace: true,
        ignoreChanges: ["dnsOpts", "capabilities", "command", "memory", "memorySwap"],
      },
    );
    this.containerId = container.id;
    this.network = network.name;
    this.registerOutputs({ containerId: this.containerId, network: this.network });
  }
}

/** How Caddy runs, as an edge and as a front. */
export function caddyOptions(memoryMb: pulumi.Input<number>) {
  return {
    // Docker's DNS resolves the names of services. It drops queries while the daemon restarts. Retry after 1 s; the
    // default 5 s outlasts the request.
    dnsOpts: ["timeout:1", "attempts:3"],
    mustRun: true,
    // Not "unless-stopped": see run/container.ts.
    restart: "always",
    securityOpts: ["no-new-privileges:true"],
    capabilities: { drops: ["ALL"], adds: ["CAP_NET_BIND_SERVICE"] },
    memory: memoryMb,
    memorySwap: memoryMb,
    logDriver: "json-file",
    logOpts: { "max-size": "10m", "max-file": "3" },
    destroyGraceSeconds: 10,
    stopTimeout: 10,
  };
}

/** The published ports of an edge or a front. @param isHttps 80 and 443 of all addresses, instead of `listen` */
export function publicPorts({ address, port }: DeployConfig["listen"], isHttps: boolean) {
  return isHttps
    ? [80, 443].map((each) => ({ internal: each, external: each, ip: "0.0.0.0" }))
    : [{ internal: 80, external: port, ip: address.replace(/^\[|\]$/g, "") }];
}
