import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { waitingCaddyfile } from "../edge/caddy";
import { START } from "../edge/size";
import { EDGE_IMAGE } from "../engine/edgeNames";
import { type Labels, labelList } from "../release/labels";

export interface EdgeArgs {
  readonly listen: DeployConfig["listen"];
  /** With a domain the edge answers on 80 and 443 of all addresses, with automatic HTTPS. */
  readonly domain?: string;
  /** The memory limit in MiB, swap included, that a new edge starts with. */
  readonly memoryMb: pulumi.Input<number>;
  readonly labels: Labels;
  /** Is awaited before the edge is created, once its network and volumes are there: removes what has its address. */
  readonly handOver?: () => Promise<void>;
}

/**
 * The one public address: Caddy in a container, in a network it shares with the services.
 *
 * Its routes and the release it leads to are files in a volume, written by the switch: a restarted edge has what it had,
 * a new release never replaces it.
 */
export class Edge extends pulumi.ComponentResource {
  readonly containerId: pulumi.Output<string>;
  readonly network: pulumi.Output<string>;

  constructor(name: string, args: EdgeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:Edge", name, {}, opts);
    const { listen, domain } = args;
    const child = { parent: this };
    const labels = labelList({ ...args.labels, service: name });
    const network = new docker.Network(`${name}-network`, { labels }, child);
    const routes = new docker.Volume(`${name}-routes`, { labels }, child);
    const certificates = new docker.Volume(`${name}-certificates`, { labels }, child);
    const ports = domain
      ? [80, 443].map((port) => ({ internal: port, external: port, ip: "0.0.0.0" }))
      : [{ internal: 80, external: listen.port, ip: listen.address.replace(/^\[|\]$/g, "") }];
    const { handOver } = args;
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
        networksAdvanced: [{ name: network.name, aliases: [name] }],
        // Docker answers for the names of services. What it is asked while it restarts is lost: asked again after 5 s, as is the
        // default, a request would have been given up.
        dnsOpts: ["timeout:1", "attempts:3"],
        ports,
        volumes: [
          { volumeName: routes.name, containerPath: "/edge" },
          { volumeName: certificates.name, containerPath: "/data" },
        ],
        mustRun: true,
        // Not "unless-stopped": see webService.ts.
        restart: "always",
        securityOpts: ["no-new-privileges:true"],
        capabilities: { drops: ["ALL"], adds: ["CAP_NET_BIND_SERVICE"] },
        memory: args.memoryMb,
        memorySwap: args.memoryMb,
        logDriver: "json-file",
        logOpts: { "max-size": "10m", "max-file": "3" },
        destroyGraceSeconds: 10,
        stopTimeout: 10,
        labels,
      },
      // Two containers cannot publish one port: a changed address takes the old edge away first. What would change without need
      // stays as the edge has it: an edge of earlier versions has its capability without `CAP_`. The switch gives a running edge
      // its memory.
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
