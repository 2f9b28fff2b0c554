import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config";
import { keptStages } from "../engine/proveImage";
import { shortIdentity } from "../source/checkout";
import type { Source } from "../source/prepare";
import { BuildCachePrune, type ReclaimedSpace } from "./buildCachePrune";
import type { EngineAccess } from "./engineAccess";
import { FreshImage } from "./freshImage";
import type { ImageRecord } from "./lastDeploy";
import { provenImage } from "./provenImage";
import type { ReleaseRecord } from "./releases";
import type { StepClock } from "./stepClock";

export interface BuiltImagesArgs {
  readonly config: DeployConfig;
  readonly source: Source;
  /** A new one prunes and builds. */
  readonly attempt: string;
  /** Service → the name of its images. */
  readonly repository: (service: string) => string;
  /** Service → what is known of its image from the last deploy. */
  readonly known: Readonly<Record<string, ImageRecord>>;
  readonly access: EngineAccess;
  readonly clock: StepClock;
  /** What has to be there before anything is pruned or built. */
  readonly after: pulumi.Resource;
}

export interface BuiltImages {
  /** The services' images, proven, in the order of the services. */
  readonly images: pulumi.Output<ImageRecord>[];
  readonly pruned: pulumi.Output<ReclaimedSpace>;
}

/** The images of a release that is gone back to: nothing is built. */
export function keptImages(
  { images }: Pick<ReleaseRecord, "images">,
  services: readonly string[],
): pulumi.Output<ImageRecord>[] {
  return services.map((name) => pulumi.output(Promise.resolve(images[name]!)) as pulumi.Output<ImageRecord>);
}

/** Prunes, builds every service's image from the commit, all of them side by side, and proves each. */
export function buildImages(args: BuiltImagesArgs): BuiltImages {
  const { config, source, attempt, access, clock } = args;
  const { engine, provider, commands, server } = access;
  const commit = source.checkout.identity;
  const tag = shortIdentity(commit);
  const pruning = { scope: config.buildCache, tag, triggers: [attempt], server };
  const prune = new BuildCachePrune("prune", pruning, { dependsOn: args.after, provider: commands });
  const pruned = clock.mark("prune", prune.reclaimed);

  const built = config.services.map((service) => {
    const { name } = service;
    const inputs = source.inputs[name]!;
    const image = new FreshImage(
      name,
      {
        ...{ service, commit, tag, platform: config.platform, replacementTrigger: attempt },
        context: source.contexts[name]!,
        repository: args.repository(name),
        stages: keptStages(service, inputs.dockerfile),
      },
      { provider, dependsOn: prune },
    );
    const { prunedAt } = prune;
    const proof = { engine, service, commit, inputs, prunedAt, known: args.known[name] };
    return { digest: image.digest, proven: provenImage(image, proof) };
  });
  clock.mark("images", pulumi.all(built.map(({ digest }) => digest)));
  return { images: built.map(({ proven }) => proven), pruned };
}
