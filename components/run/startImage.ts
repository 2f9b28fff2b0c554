import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../../engine/docker";
import { type NameSearch, searchDomains } from "../../release/releaseNames";
import { recreates } from "./container";
import { runReleaseCommand } from "./releaseCommand";
import type { RunSpec } from "./spec";

/** What decides when a service's new containers may be created. */
interface StartArgs extends Pick<RunSpec, "service" | "network" | "volumes" | "labels" | "cluster"> {
  readonly image: pulumi.Input<string>;
  readonly release: pulumi.Input<string>;
  readonly names: NameSearch;
  /** On a Swarm: stops the service's running tasks. */
  readonly pause?: (service: string) => Promise<void>;
  readonly releaseOn?: DockerEngine;
  readonly accessorySecrets?: readonly string[];
}

/** What a service's containers are created from. */
interface StartImage {
  /** Resolves once everything is done that must precede the new containers. */
  readonly image: pulumi.Input<string>;
  /** The release command, if it runs after the old container has stopped. */
  readonly releaseCommand?: pulumi.Output<() => Promise<void>>;
}

/** The image of new containers, after the release command, and on a Swarm after the pause of a service that is recreated. */
export function startImage(name: string, args: StartArgs, envs: pulumi.Output<string[]>): StartImage {
  const { service, cluster, pause } = args;
  const command = service.releaseCommand === undefined ? undefined : commandOf(args, envs);
  // The command runs between the old container and the new one.
  if (recreates(service, cluster))
    return {
      image: args.image,
      releaseCommand: pulumi.runtime.isDryRun() ? undefined : command?.apply(({ run }) => run),
    };
  const pauses = service.strategy === "recreate" && cluster !== undefined ? pause : undefined;
  if (command)
    return {
      image: command.apply(async ({ image, run }) => {
        await pauses?.(name);
        await run();
        return image;
      }),
    };
  if (!pauses) return { image: args.image };
  return {
    image: pulumi.output(args.image).apply(async (image) => {
      await pauses(name);
      return image;
    }),
  };
}

/** The release command and the image that it runs in. The image's name contains none of the secrets that the command received. */
function commandOf(args: StartArgs, envs: pulumi.Output<string[]>) {
  return pulumi.unsecret(
    pulumi
      .all([args.image, envs, args.network, args.volumes, searchDomains(args.release, args.names)])
      .apply(([image, env, network, mounted, search]) => ({
        image,
        run: () => runReleaseCommand(args, { image, env, network, mounted, search }),
      })),
  );
}
