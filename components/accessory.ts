import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { AccessoryConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import type { DeployedAccessory } from "../freshness/container/accessory";
import { healthOf, portOf } from "../freshness/container/products";
import { settleAccessory } from "../release/accessory";
import { fail } from "../release/failure";
import { type Labels, labelList } from "../release/labels";
import { stopTimeouts } from "./run/options";
import type { MountedVolume } from "./run/spec";

export interface AccessoryArgs {
  readonly accessory: AccessoryConfig;
  /** The ID of its image on the engine; in a preview of a new one, its name. */
  readonly imageId: string;
  /** The name of the network that the edge shares. */
  readonly network: pulumi.Input<string>;
  /** The edge's container, which asks a port. */
  readonly edge: pulumi.Input<string>;
  readonly volumes: readonly MountedVolume[];
  readonly labels: Labels;
  /** What has to succeed before a container is replaced, such as the images' proofs. */
  readonly after: pulumi.Input<unknown>;
  /** The engine that runs it; absent in a preview. */
  readonly engine?: DockerEngine;
}

/**
 * A program beside the app, of an image that is not built here, such as a database. Nothing of a release goes into its container: a
 * deploy of the app leaves it alone. A new container is made beside the old one and does not run; the engine's side stops the old
 * one, starts the new one and takes that back where it does not become healthy. Pulumi removes the old one last.
 */
export class Accessory extends pulumi.ComponentResource {
  /** Once it is healthy. */
  readonly deployed: pulumi.Output<DeployedAccessory>;

  constructor(name: string, args: AccessoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:Accessory", name, {}, opts);
    const { accessory, imageId, network, volumes, labels, engine } = args;
    const { command, entrypoint, user, env, secretEnv, memoryMb, stopSeconds, shmMb } = accessory;
    const variables = Object.entries({ ...env, ...secretEnv }).map(([key, value]) => `${key}=${value}`);
    const container = new docker.Container(
      `${name}-accessory`,
      {
        image: imageId,
        envs: Object.keys(secretEnv).length === 0 ? variables : pulumi.secret(variables),
        command: command && [...command],
        entrypoints: entrypoint && [...entrypoint],
        user,
        networksAdvanced: [{ name: network, aliases: [name] }],
        volumes: volumes.length > 0 ? [...volumes] : undefined,
        // It is started when the old one has stopped.
        start: false,
        mustRun: false,
        wait: false,
        // Not "unless-stopped": see webService.ts.
        restart: "always",
        // Images of databases begin as root and go on as a user of their own: they keep what Docker gives a container.
        securityOpts: ["no-new-privileges:true"],
        memory: memoryMb,
        memorySwap: memoryMb,
        shmSize: shmMb,
        logDriver: "json-file",
        logOpts: { "max-size": "10m", "max-file": "3" },
        init: true,
        destroyGraceSeconds: stopSeconds,
        stopTimeout: stopSeconds,
        labels: labelList({ stack: labels.stack, accessory: name }),
      },
      {
        parent: this,
        ...stopTimeouts({ stopSeconds, volumes: {}, readOnly: false }),
        deleteBeforeReplace: false,
      },
    );
    this.deployed = pulumi.all([container.id, args.edge, args.after]).apply(async ([id, edge]) => {
      const deployed: DeployedAccessory = {
        name,
        container: id,
        image: accessory.image,
        imageId,
        port: portOf(accessory),
        health: healthOf(accessory),
        startSeconds: accessory.startSeconds,
      };
      if (engine)
        await settleAccessory(engine, { stack: labels.stack, edge, accessory: deployed }).catch(fail);
      return deployed;
    });
    this.registerOutputs({ container: container.id });
  }
}
