import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { onErrorOf } from "../release/errorHook";
import type { ProvenBuild } from "../release/provenBuild";
import { builtImage } from "./builtImage";

export interface FreshImageArgs {
  /** The build context: a folder, relative to the project. */
  readonly context: pulumi.Input<string>;
  /** The value of the build arg GIT_COMMIT_HASH: the commit, or `<sha>-dirty-<tree>`. */
  readonly commit: string;
  /** Path of the Dockerfile in the context. Default: `Dockerfile`. */
  readonly dockerfile?: string;
  /** The stage to build. Default: the last one. */
  readonly target?: string;
  /** Build args besides GIT_COMMIT_HASH. Default: none. */
  readonly args?: Readonly<Record<string, string>>;
  /** The target platform. Default: `linux/amd64`. */
  readonly platform?: string;
  /** The name of the image. A stage's image is named `repository/STAGE`. */
  readonly repository: string;
  /** A separate tag for each commit keeps earlier images for a rollback. Default: the commit. */
  readonly tag?: string;
  /** Stages that are built and tagged before the image, such as those whose content is proven. Default: none. */
  readonly stages?: readonly string[];
  /** Stage → the resource name of its image. Default: the component's name and the stage. */
  readonly stageResources?: Readonly<Record<string, string>>;
  /**
   * A new value rebuilds the image as a replacement. `replaceOnChanges` on an argument would silently cause an update
   * instead. Default: the commit.
   */
  readonly replacementTrigger?: string;
  /** Runs when a build fails; absent in a preview. */
  readonly onFailure?: pulumi.ErrorHook;
}

/** An image that BuildKit builds from the commit's files without cacheFrom. Each new commit replaces it. */
export class FreshImage extends pulumi.ComponentResource<void> {
  /** The image's digest, `sha256:…`. The name is the same for every build of a commit. */
  readonly digest: pulumi.Output<string>;
  /** Stage → its image's digest. */
  readonly stageDigests: pulumi.Output<Record<string, string>>;
  /** The image itself. Depend on it and not on the component, which finishes only after `remember()`. */
  readonly image: docker.Image;
  /** The names of the stages' images. */
  readonly stageImages: readonly string[];
  private readonly build: (
    resource: string,
    stage: string | undefined,
    after: docker.Image[],
  ) => docker.Image;
  private again: docker.Image[] = [];

  private readonly args: Required<Pick<FreshImageArgs, "stages" | "stageResources">> & {
    readonly name: string;
  };

  constructor(name: string, args: FreshImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:FreshImage", name, {}, opts);
    const { stages: stageNames = [], stageResources = {} } = args;
    this.args = { name, stages: stageNames, stageResources };
    const { context, commit, repository, onFailure } = args;
    const { dockerfile = "Dockerfile", platform = "linux/amd64", tag = commit, target } = args;
    const { replacementTrigger = commit } = args;
    this.build = (resource, stage, dependsOn) =>
      builtImage(
        resource,
        {
          imageName: stage === undefined ? `${repository}:${tag}` : `${repository}/${stage}:${tag}`,
          context,
          dockerfile,
          platform,
          target: stage ?? target,
          args: { ...args.args, GIT_COMMIT_HASH: commit },
        },
        { parent: this, replacementTrigger, dependsOn, hooks: onErrorOf(onFailure) },
      );
    // Build one at a time, although it takes a second longer. BuildKit merges common steps of two parallel builds. In
    // some versions that sometimes fails or crashes the engine (moby/buildkit#2303).
    this.stageImages = stageNames.map((stage) => `${repository}/${stage}:${tag}`);
    const stages = stageNames.map((stage) => this.build(this.resourceOf(stage), stage, []));
    this.image = this.build(name, undefined, stages);
    this.digest = this.image.repoDigest;
    this.stageDigests = digestsOf(stageNames, stages);
  }

  /** Writes the image's proof into the state. Writes no proof if nothing is built. */
  remember(proven: ProvenBuild | undefined): void {
    this.registerOutputs({
      digest: this.digest,
      stageDigests: this.stageDigests,
      proven: proven && pulumi.secret(proven),
    });
  }

  private resourceOf(stage: string): string {
    return this.args.stageResources[stage] ?? `${this.args.name}-${stage}`;
  }

  /** Never resolves: when it resolves, the SDK registers empty outputs, before the image is proven. */
  protected override initialize(): Promise<void> {
    return new Promise(() => undefined);
  }

  /** Builds the stages' images again, from the cache of the image's own build. */
  buildStagesAgain(): pulumi.Output<Record<string, string>> {
    const { stages } = this.args;
    this.again = stages.map((stage) => this.build(`${this.resourceOf(stage)}-again`, stage, []));
    return digestsOf(stages, this.again);
  }

  /**
   * Builds the image again, from the same stages.
   * @returns its digest
   */
  buildImageAgain(): pulumi.Output<string> {
    return this.build(`${this.args.name}-again`, undefined, this.again).repoDigest;
  }
}

/** Stage → its image's digest. */
function digestsOf(
  stages: readonly string[],
  images: readonly docker.Image[],
): pulumi.Output<Record<string, string>> {
  return pulumi
    .all(images.map(({ repoDigest }) => repoDigest))
    .apply((digests) => Object.fromEntries(stages.map((stage, index) => [stage, digests[index] ?? ""])));
}
