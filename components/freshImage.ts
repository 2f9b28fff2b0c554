import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config";

export interface FreshImageArgs {
  readonly service: ServiceConfig;
  /** The exported build context, relative to the project. */
  readonly context: string;
  /** What GIT_COMMIT_HASH becomes: the commit, or `<sha>-dirty-<tree>`. */
  readonly commit: string;
  /** What to build for, such as linux/amd64: unset, each preview warns. */
  readonly platform: string;
  /** `repository:tag`; a tag of its own for each release keeps earlier ones for a rollback. */
  readonly imageName: string;
  /** A new value builds the image anew, as a replacement: `replaceOnChanges` on an arg would silently be an update. */
  readonly replacementTrigger: string;
}

/** An image built by BuildKit from the commit's files, without any cacheFrom, and replaced by each new commit. */
export class FreshImage extends pulumi.ComponentResource {
  /** The image's digest, `sha256:…`; the name is the same text for every build of a commit. */
  readonly digest: pulumi.Output<string>;

  constructor(name: string, args: FreshImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:FreshImage", name, {}, opts);
    const { service, context, commit, platform, imageName, replacementTrigger } = args;
    const image = new docker.Image(
      name,
      {
        imageName,
        skipPush: true,
        buildOnPreview: false,
        build: {
          context,
          dockerfile: `${context}/${service.dockerfile}`,
          platform,
          builderVersion: docker.BuilderVersion.BuilderBuildKit,
          args: { ...service.args, GIT_COMMIT_HASH: commit },
          ...(service.target === undefined ? {} : { target: service.target }),
        },
      },
      { parent: this, replacementTrigger },
    );
    this.digest = image.repoDigest;
    this.registerOutputs({ digest: this.digest });
  }
}
