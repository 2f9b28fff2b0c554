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
  /** Its settings, as in the configuration key `accessories`. */
  readonly accessory: AccessoryConfig;
  /** The ID of its image on the engine. In a preview of a new accessory, the image's name. */
  readonly imageId: string;
  /** The name of the network that the edge shares. */
  readonly network: pulumi.Input<string>;
  /** The edge's container, which connects to the accessory's port. */
  readonly edge: pulumi.Input<string>;
  /** The volumes that its container mounts. */
  readonly volumes: readonly MountedVolume[];
  /** The labels of what the engine has of the stack. */
  readonly labels: Labels;
  /** What must succeed before a container is replaced, such as the images' proofs. */
  readonly after: pulumi.Input<unknown>;
  /** The engine that runs the accessory; absent in a preview. */
  readonly engine?: DockerEngine;
}

/**
 * A program beside the app, such as a database, from an image that is not built here. A deploy of the app does not
 * change its container, which contains nothing of a release. A new container is created beside the old one without
 * starting. The deploy then stops the old one and starts the new one, and starts the old one again if the new one does
 * not become healthy. Pulumi removes the old one last.
 */
export class Accessory extends pulumi.ComponentResource {
  /** Resolves once the accessory is healthy. */
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
        // It starts once the old one has stopped.
        start: false,
        mustRun: false,
        wait: false,
        // Not "unless-stopped": see run/container.ts.
        restart: "always",
        // Database images start as root and switch to their own user. They keep Docker's default capabilities.
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
