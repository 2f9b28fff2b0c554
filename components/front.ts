import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { frontCaddyfile, START_FRONT } from "../edge/front";
import { EDGE_IMAGE } from "../engine/edgeNames";
import { FRONT, sitesNetwork } from "../freshness/served/front";
import { fail } from "../release/failure";
import { keepFront, prepareFront } from "../release/front";
import { type Labels, labelList } from "../release/labels";
import { caddyOptions, publicPorts } from "./edge";
import { NetworkGuests } from "./networkGuests";

export interface FrontArgs
  extends Pick<DeployConfig, "front" | "tls" | "trustedProxies" | "listen" | "edgeMemoryMb"> {
  /** The memory limit of a new front in MiB, including swap. */
  readonly memoryMb: pulumi.Input<number>;
  /** The labels of what the engine has of the stack. */
  readonly labels: Labels;
}

/**
 * Shares its ports among the edges of stacks: Caddy, whose configuration never changes, on a network where Docker's DNS finds the edge of
 * each name.
 */
export class Front extends pulumi.ComponentResource {
  /** The name of its network. */
  readonly network: pulumi.Output<string>;
  /** The ID of its container. */
  readonly containerId: pulumi.Output<string>;

  constructor(name: string, args: FrontArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:Front", name, {}, opts);
    const { front, listen, memoryMb, edgeMemoryMb } = args;
    const child = { parent: this };
    const labels = labelList({ ...args.labels, service: FRONT });
    // Other stacks know the network by its name.
    const fixed = { name: sitesNetwork(args.labels.stack), labels };
    const network = new docker.Network(`${name}-network`, fixed, child);
    const certificates = new docker.Volume(`${name}-certificates`, { labels }, child);
    const container = new docker.Container(
      name,
      {
        image: EDGE_IMAGE,
        command: ["sh", "-c", START_FRONT],
        envs: [`CONFIGURATION=${frontCaddyfile(args)}`],
        networksAdvanced: [{ name: network.name, aliases: [FRONT] }],
        ports: publicPorts(listen, front === "https"),
        volumes: [{ volumeName: certificates.name, containerPath: "/data" }],
        ...caddyOptions(memoryMb),
        labels,
      },
      // Two containers cannot publish the same port. A preview does not know the default of the machine's memory.
      {
        ...child,
        deleteBeforeReplace: true,
        ignoreChanges: edgeMemoryMb === undefined ? ["memory", "memorySwap"] : [],
      },
    );
    this.containerId = container.id;
    this.network = network.name;
    this.registerOutputs({ network: this.network });
  }
}

/** The program of a stack that is a front: the ports that other stacks share. */
export async function serveFront(config: DeployConfig) {
  const { access, labels, memoryMb } = await prepareFront(config);
  const front = new Front("front", { ...config, labels, memoryMb }, { provider: access.provider });
  const guests = { networks: [front.network], stack: labels.stack, server: access.server };
  new NetworkGuests("guests", guests, { provider: access.commands });
  if (pulumi.runtime.isDryRun()) return { front: config.front };
  const kept = front.containerId.apply((id) => keepFront(access.engine, labels.stack, id).catch(fail));
  return { front: kept.apply(() => config.front) };
}
