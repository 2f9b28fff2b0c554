import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config";

export interface FreshImageArgs {
  readonly service: ServiceConfig;
  /** The exported build context, relative to the project. */
  readonly context: Promise<string>;
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
}

/** An image built by BuildKit from the commit's files, without any cacheFrom, and replaced by each new commit. */
export class FreshImage extends pulumi.ComponentResource {
  /** The image's digest, `sha256:…`; the name is the same text for every build of a commit. */
  readonly digest: pulumi.Output<string>;
  /** Stage → its image's digest. */
  readonly stageDigests: pulumi.Output<Record<string, string>>;
  /** The names of the stages' images. */
  readonly stageImages: readonly string[];

  constructor(name: string, args: FreshImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:FreshImage", name, {}, opts);
    const { service, context, commit, platform, repository, tag, replacementTrigger } = args;
    const build = (
      resource: string,
      imageName: string,
      target: string | undefined,
      dependsOn: docker.Image[],
    ) =>
      builtImage(
        resource,
        {
          ...{ imageName, context, dockerfile: service.dockerfile, platform, target },
          args: { ...service.args, GIT_COMMIT_HASH: commit },
        },
        { parent: this, replacementTrigger, dependsOn },
      );
    // One after the other, though it costs a second: of two builds at once that have steps in common BuildKit makes one, which
    // in some versions fails now and then, or takes the engine down (moby/buildkit#2303).
    this.stageImages = args.stages.map((stage) => `${repository}/${stage}:${tag}`);
    const stages = args.stages.map((stage, at) =>
      build(args.stageResources[stage] ?? `${name}-${stage}`, this.stageImages[at]!, stage, []),
    );
    const image = build(name, `${repository}:${tag}`, service.target, stages);
    this.digest = image.repoDigest;
    this.stageDigests = pulumi
      .all(stages.map((stage) => stage.repoDigest))
      .apply((digests) => Object.fromEntries(digests.map((digest, index) => [args.stages[index]!, digest])));
    this.registerOutputs({ digest: this.digest, stageDigests: this.stageDigests });
  }
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
