import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config/types";
import { onErrorOf } from "../release/errorHook";
import type { ProvenBuild } from "../release/provenBuild";

export interface FreshImageArgs {
  readonly service: ServiceConfig;
  /** The exported build context, relative to the project. */
  readonly context: pulumi.Input<string>;
  /** What GIT_COMMIT_HASH becomes: the commit, or `<sha>-dirty-<tree>`. */
  readonly commit: string;
  /** What to build for, such as linux/amd64: unset, each preview warns. */
  readonly platform: string;
  /** The images' name; a stage's has the stage's behind it, `repository/STAGE`. */
  readonly repository: string;
  /** A tag of its own for each commit keeps earlier ones for a rollback. */
  readonly tag: string;
  /** Stages that are built and tagged before the image: what they hold is compared with the commit. */
  readonly stages: readonly string[];
  /** Stage → the name of its image's resource. */
  readonly stageResources: Readonly<Record<string, string>>;
  /** A new value builds the image anew, as a replacement: `replaceOnChanges` on an arg would silently be an update. */
  readonly replacementTrigger: string;
  /** Is run when a build fails; absent in a preview. */
  readonly onFailure?: pulumi.ErrorHook;
}

/** An image built by BuildKit from the commit's files, without any cacheFrom, and replaced by each new commit. */
export class FreshImage extends pulumi.ComponentResource<void> {
  /** The image's digest, `sha256:…`; the name is the same text for every build of a commit. */
  readonly digest: pulumi.Output<string>;
  /** Stage → its image's digest. */
  readonly stageDigests: pulumi.Output<Record<string, string>>;
  /** The image itself: what depends on the component would wait for ever, which ends only when the image is proven. */
  readonly image: docker.Image;
  /** The names of the stages' images. */
  readonly stageImages: readonly string[];
  private readonly build: (
    resource: string,
    stage: string | undefined,
    after: docker.Image[],
  ) => docker.Image;
  private again: docker.Image[] = [];

  private readonly args: Pick<FreshImageArgs, "stages" | "stageResources"> & { readonly name: string };

  constructor(name: string, args: FreshImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:FreshImage", name, {}, opts);
    this.args = { name, stages: args.stages, stageResources: args.stageResources };
    const { service, context, commit, platform, repository, tag, replacementTrigger, onFailure } = args;
    this.build = (resource, stage, dependsOn) =>
      builtImage(
        resource,
        {
          imageName: stage === undefined ? `${repository}:${tag}` : `${repository}/${stage}:${tag}`,
          ...{ context, dockerfile: service.dockerfile, platform },
          target: stage ?? service.target,
          args: { ...service.args, GIT_COMMIT_HASH: commit },
        },
        { parent: this, replacementTrigger, dependsOn, hooks: onErrorOf(onFailure) },
      );
    // One after the other, though it costs a second: of two builds at once that have steps in common BuildKit makes one, which
    // in some versions fails now and then, or takes the engine down (moby/buildkit#2303).
    this.stageImages = args.stages.map((stage) => `${repository}/${stage}:${tag}`);
    const stages = args.stages.map((stage) => this.build(this.resourceOf(stage), stage, []));
    this.image = this.build(name, undefined, stages);
    this.digest = this.image.repoDigest;
    this.stageDigests = digestsOf(args.stages, stages);
  }

  /** Writes into the state what is known of the image; without a proof where nothing is built. */
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

  /** Never ends: at its end the SDK would register that there are no outputs, before the image is proven. */
  protected override initialize(): Promise<void> {
    return new Promise(() => undefined);
  }

  /** Builds the stages' images once more, from what the image's own build has left in the cache. */
  buildStagesAgain(): pulumi.Output<Record<string, string>> {
    const { stages } = this.args;
    this.again = stages.map((stage) => this.build(`${this.resourceOf(stage)}-again`, stage, []));
    return digestsOf(stages, this.again);
  }

  /** Builds the image once more, from the stages that were. @returns its digest */
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

/** One image of one stage. */
interface Built {
  readonly imageName: string;
  /** The build context, relative to the project. */
  readonly context: pulumi.Input<string>;
  /** Relative to the context. */
  readonly dockerfile: string;
  readonly platform: string;
  /** Default: the last stage. */
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
}

/** Declares an image that BuildKit builds without any cacheFrom; it stays on the engine that builds it. */
export function builtImage(
  name: string,
  { imageName, context, dockerfile, platform, target, args }: Built,
  opts: pulumi.CustomResourceOptions,
): docker.Image {
  return new docker.Image(
    name,
    {
      imageName,
      skipPush: true,
      buildOnPreview: false,
      build: {
        context,
        dockerfile: pulumi.interpolate`${context}/${dockerfile}`,
        platform,
        builderVersion: docker.BuilderVersion.BuilderBuildKit,
        args: { ...args },
        ...(target === undefined ? {} : { target }),
      },
    },
    opts,
  );
}
