import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

/** The image of one stage. */
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

/** Declares an image that BuildKit builds without cacheFrom. It stays on the engine that builds it. */
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
