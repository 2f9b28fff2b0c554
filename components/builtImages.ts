import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config";
import type { DockerEngine } from "../engine/docker";
import { keptStages, showsStage } from "../engine/proveImage";
import { pullImage, pushImage, type Registry, registryOf } from "../engine/registry";
import { shipImages } from "../engine/ship";
import { shortIdentity } from "../source/checkout";
import type { Source } from "../source/prepare";
import type { BuildBasis } from "./buildBasis";
import { BuildCachePrune, pruneCommand, type ReclaimedSpace } from "./buildCachePrune";
import { DependencyImage, dependencyRepository, type HeldDependencies } from "./dependencyImage";
import type { Engines } from "./engineAccess";
import { fail } from "./failure";
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
  /** Whether this is a new one. */
  readonly builds: boolean;
  /** Service → the name of its images. */
  readonly repository: (service: string) => string;
  readonly basis: Pick<BuildBasis, "dependencies" | "parallel">;
  /** Service → what is known of its image from the last deploy. */
  readonly known: Readonly<Record<string, ImageRecord>>;
  readonly access: Engines;
  readonly clock: StepClock;
  /** What has to be there before anything is pruned or built. */
  readonly after: pulumi.Resource;
}

export interface BuiltImages {
  /** The services' images, proven, in the order of the services. */
  readonly images: pulumi.Output<ImageRecord>[];
  readonly pruned: pulumi.Output<ReclaimedSpace>;
  /** Service → the image that holds its dependencies, and whether the build found it in the cache. */
  readonly dependencies: pulumi.Output<Readonly<Record<string, HeldDependencies>>>;
  /**
   * Removes the stages' images and what of the build cache they alone held: everything waits for the prune of the next deploy,
   * which would have to do it otherwise. To be called once all is proven; absent where nothing is built.
   */
  readonly clear?: () => Promise<void>;
}

/** The images of a release that is gone back to: nothing is built. */
export function keptImages(
  { images }: Pick<ReleaseRecord, "images">,
  services: readonly string[],
): pulumi.Output<ImageRecord>[] {
  return services.map((name) => pulumi.output(Promise.resolve(images[name]!)) as pulumi.Output<ImageRecord>);
}

/**
 * Prunes, builds every service's image from the commit, all of them side by side, proves each, and hands it on to the
 * registry and to the engine that runs it.
 *
 * A container names its image by the id, which is the same wherever it came from: a registry that is added, moved or left
 * changes no container, and the proofs compare one id on every way.
 */
export function buildImages(args: BuiltImagesArgs): BuiltImages {
  const { config, source, attempt, access, clock, basis } = args;
  const { engine, provider, server } = access.builder ?? access;
  const registry = registryOf(config);
  const commit = source.checkout.identity;
  const tag = shortIdentity(commit);
  const pruning = { scope: config.buildCache, tag, triggers: [attempt], server };
  const prune = new BuildCachePrune("prune", pruning, { dependsOn: args.after, provider: access.commands });
  const pruned = clock.mark("prune", prune.reclaimed);

  const made: FreshImage[] = [];
  const holding: pulumi.Output<[string, HeldDependencies][]>[] = [];
  const built = config.services.map((service, at) => {
    const { name } = service;
    const inputs = source.inputs[name]!;
    const turn = made[at - basis.parallel];
    const dependsOn: pulumi.Resource[] = turn ? [prune, turn] : [prune];
    const [context, held] = [source.dependencies[name], basis.dependencies[name]];
    const dependencies =
      context &&
      held &&
      new DependencyImage(
        `${name}.dependencies`,
        {
          ...{ source: context, held, platform: config.platform },
          repository: dependencyRepository(args.repository(name)),
        },
        { provider, dependsOn },
      );
    const image = new FreshImage(
      name,
      {
        ...{ service, commit, tag, platform: config.platform, replacementTrigger: attempt },
        context: source.contexts[name]!,
        repository: args.repository(name),
        stages: keptStages(service, inputs.dockerfile),
      },
      { provider, dependsOn: dependencies ? [...dependsOn, dependencies] : dependsOn },
    );
    made.push(image);
    if (dependencies && held)
      holding.push(
        pulumi
          .all([dependencies.digest, image.digest, image.stageDigests])
          .apply(async ([of, final, stages]) => {
            const isKnown = args.known[name]?.digest === final || pulumi.runtime.isDryRun();
            const shows = showsStage(service, inputs.dockerfile, context.stage);
            return isKnown || !shows || (await isHeld(engine, of, [final, ...Object.values(stages)]))
              ? [[name, held]]
              : [[name, { ...held, lost: true }]];
          }),
      );
    const { prunedAt } = prune;
    const proof = { engine, service, commit, inputs, prunedAt, known: args.known[name], builds: args.builds };
    const proven = provenImage(image, proof);
    return { digest: image.digest, proven: access.builder || registry ? handedOn(proven, name) : proven };
  });
  /** It is in the registry, and where another engine runs it there under its name, before any container is made of it. */
  function handedOn(proven: pulumi.Output<ImageRecord>, service: string): pulumi.Output<ImageRecord> {
    return proven.apply(async (record) => {
      if (pulumi.runtime.isDryRun()) return record;
      const image = `${args.repository(service)}:${tag}`;
      const isThere = args.known[service]?.digest === record.digest;
      try {
        const pushed = registry && (await inRegistry(record, image, registry));
        if (access.builder && !isThere) {
          if (registry && pushed)
            await pullImage(access.engine, registry, pushed, { image, id: record.digest });
          else await shipImages(engine, access.engine, [image]);
        }
        return pushed === undefined ? record : { ...record, pushed };
      } catch (cause) {
        return fail(cause as Error);
      }
    });
  }
  /** What is known to be there is not pushed again: an `up` that changes nothing asks no registry. */
  async function inRegistry({ pushed }: ImageRecord, image: string, registry: Registry): Promise<string> {
    return pushed?.startsWith(`${registry.address}/`) ? pushed : pushImage(engine, registry, image);
  }
  clock.mark("images", pulumi.all(built.map(({ digest }) => digest)));
  const clear = async () => {
    await engine.removeTags(made.flatMap(({ stageImages }) => stageImages));
    await engine.script(pruneCommand("prune"));
  };
  return {
    ...{ images: built.map(({ proven }) => proven), pruned },
    dependencies: pulumi.all(holding).apply((all) => Object.fromEntries(all.flat())),
    ...(args.builds && !pulumi.runtime.isDryRun() ? { clear } : {}),
  };
}

/**
 * Whether a build took its dependencies from the image that holds them: where the cache was emptied behind its back they were
 * installed again, and the next build would do so too, unless the image is made anew.
 *
 * @param built the images of the build, its stages' among them
 */
async function isHeld(
  engine: DockerEngine,
  dependencies: string,
  built: readonly string[],
): Promise<boolean> {
  if (built.includes(dependencies)) return true;
  const { images } = await engine.inspect([dependencies, ...built]);
  const layers = images.find(({ id }) => id === dependencies)?.layers ?? [];
  const others = images.filter(({ id }) => id !== dependencies);
  return layers.length > 0 && others.some((other) => layers.every((layer, at) => layer === other.layers[at]));
}
