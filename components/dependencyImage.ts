import * as pulumi from "@pulumi/pulumi";
import { onErrorOf } from "../release/errorHook";
import type { HeldDependencies } from "../release/record";
import type { DependencyContext } from "../source/dependencies";
import { builtImage } from "./builtImage";

export interface DependencyImageArgs {
  /** The stage, with its build args and files. */
  readonly source: DependencyContext;
  /** Its build context. Resolves once its inputs are in the cache. */
  readonly context: pulumi.Input<string>;
  /** What identifies its content, and its tag. */
  readonly held: HeldDependencies;
  /** The target platform. */
  readonly platform: string;
  /** The image's name, without its tag. */
  readonly repository: string;
  /** Runs when the build fails; absent in a preview. */
  readonly onFailure?: pulumi.ErrorHook;
}

/**
 * The stage that installs a service's dependencies, as a separate image. `docker builder prune -f` keeps the layers of
 * a tagged image. A new commit with the same lockfile therefore finds these layers in the cache, and no others.
 */
export class DependencyImage extends pulumi.ComponentResource {
  /** The digest of the image. */
  readonly digest: pulumi.Output<string>;

  constructor(name: string, args: DependencyImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:DependencyImage", name, {}, opts);
    const { source, context, held, platform, repository, onFailure } = args;
    const { stage: target, args: buildArgs } = source;
    const image = builtImage(
      name,
      {
        imageName: `${repository}:${held.tag}`,
        context,
        dockerfile: "Dockerfile",
        platform,
        target,
        args: buildArgs,
      },
      { parent: this, replacementTrigger: held.id, hooks: onErrorOf(onFailure) },
    );
    this.digest = image.repoDigest;
    this.registerOutputs({ digest: this.digest });
  }
}
