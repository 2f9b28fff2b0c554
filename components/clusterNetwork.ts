import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { type Labels, labelList } from "../release/labels";

/** The network that spans a Swarm's nodes. Containers of the manager, including the edge, also join it. */
export class ClusterNetwork extends pulumi.ComponentResource {
  /** The name of the network. */
  readonly network: pulumi.Output<string>;
  /** The ID of the network. */
  readonly networkId: pulumi.Output<string>;

  constructor(name: string, args: { readonly labels: Labels }, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:ClusterNetwork", name, {}, opts);
    const labels = labelList({ ...args.labels, service: name });
    const overlay = { driver: "overlay", attachable: true, labels };
    const network = new docker.Network(`${name}-network`, overlay, { parent: this });
    this.network = network.name;
    this.networkId = network.id;
    this.registerOutputs({ network: this.network, networkId: this.networkId });
  }
}
