import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { followersWaitingCaddyfile, OF_FOLLOWERS_MB } from "../edge/caddy";
import type { DockerEngine } from "../engine/docker";
import { pushImage, type Registry } from "../engine/registry";
import { readOwnNode } from "../engine/swarm";
import type { Deployment, Followers } from "../proof/deployment";
import { FOLLOW } from "../proof/followers";
import { fail } from "../release/failure";
import { type Labels, labelList } from "../release/labels";
import { loginFor, USUAL_SYSCTL } from "./run/swarmService";

export interface EdgeFollowersArgs {
  /** `all`, or the constraint that selects the nodes with an edge, besides the manager's. */
  readonly edges: string;
  /** The port on each node where they listen. */
  readonly port: number;
  /** The ID of the container that they follow. */
  readonly edge: pulumi.Input<string>;
  /** The overlay network's ID. */
  readonly networkId: pulumi.Input<string>;
  /** Prefix of the name of their image in the registry, and of the volume on each node. */
  readonly repository: string;
  /** The registry from which the nodes pull their image. */
  readonly registry: Registry;
  /** The manager's engine; absent in a preview. */
  readonly engine?: DockerEngine;
  /** The previous deployment. */
  readonly last?: Deployment;
  /** The labels of what the engine has of the stack. */
  readonly labels: Labels;
}

/**
 * Edges on other nodes of a Swarm, one task on each selected node. They get their routes from the manager's edge, so a
 * release does not replace them. They run the same image as the manager's edge.
 */
export class EdgeFollowers extends pulumi.ComponentResource {
  /** The followers, as the deployment records them. */
  readonly followers: pulumi.Output<Followers>;

  constructor(name: string, args: EdgeFollowersArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:EdgeFollowers", name, {}, opts);
    const { edges, port, networkId, registry, engine, repository, labels } = args;
    const last = args.last?.followers;
    const image = pulumi.output(args.edge).apply((edge) => inRegistry(args, edge));
    const constraints = pulumi
      .output(otherNodes(engine, last))
      .apply((others) => (edges === "all" ? [others] : [others, edges]));
    // Two tasks cannot publish the same port. On each node the old one stops first, one node at a time.
    const rolling = { parallelism: 1, delay: "0s", maxFailureRatio: "0.0", order: "stop-first" };
    const service = new docker.Service(
      name,
      {
        auth: loginFor(registry),
        mode: { global: true },
        endpointSpec: {
          mode: "dnsrr",
          ports: [{ protocol: "tcp", targetPort: 80, publishedPort: port, publishMode: "host" }],
        },
        taskSpec: {
          containerSpec: {
            image: image.reference,
            commands: ["sh", "-c", FOLLOW],
            env: { WAITING: followersWaitingCaddyfile() },
            init: true,
            capDrops: ["ALL"],
            capAdds: ["CAP_NET_BIND_SERVICE"],
            mounts: [{ type: "volume", source: `${repository}-edge`, target: "/edge" }],
            stopGracePeriod: "10s",
            sysctl: USUAL_SYSCTL,
          },
          resources: { limits: { memoryBytes: OF_FOLLOWERS_MB * 1024 ** 2 } },
          restartPolicy: { condition: "any", delay: "1s", window: "0s" },
          networksAdvanceds: [{ id: networkId }],
          logDriver: { name: "json-file", options: { "max-size": "10m", "max-file": "3" } },
          placement: { constraints },
        },
        updateConfig: { ...rolling, monitor: "5s", failureAction: "pause" },
        rollbackConfig: { ...rolling, monitor: "5s", failureAction: "pause" },
        // The plugin cannot know the number of tasks that a constraint results in. The deploy waits for them itself.
        labels: labelList({ ...labels, service: "edge" }),
      },
      { parent: this, deleteBeforeReplace: true },
    );
    this.followers = pulumi
      .all([service.id, constraints, image])
      .apply(([service, constraints, image]) => ({ service, constraints, ...image }));
    this.registerOutputs({ followers: this.followers });
  }
}

/** The constraint that keeps followers off the node of the edge that they follow. */
async function otherNodes(engine: DockerEngine | undefined, last: Followers | undefined): Promise<string> {
  if (engine === undefined) return last?.constraints[0] ?? "node.id!=unknown";
  return `node.id!=${await readOwnNode(engine)}`;
}

/** The edge's image in the registry. Pushes it unless it is known to be there. */
async function inRegistry(
  { engine, registry, repository, last }: EdgeFollowersArgs,
  edge: string,
): Promise<Pick<Followers, "image" | "reference">> {
  const { image: known = "", reference = "unknown" } = last?.followers ?? {};
  try {
    const image = engine === undefined ? known : ((await engine.inspectContainers([edge]))[0]?.image ?? "");
    if (engine === undefined || (image === known && reference.startsWith(`${registry.address}/`)))
      return { image, reference };
    const name = `${repository}/edge:${image.replace("sha256:", "").slice(0, 12)}`;
    return { image, reference: await pushImage(engine, registry, name, image) };
  } catch (cause) {
    return fail(cause as Error);
  }
}
