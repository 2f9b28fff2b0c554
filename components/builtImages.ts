import * as pulumi from "@pulumi/pulumi";
import { buildSecretsOf, type DeployConfig, imageOf, type ServiceConfig } from "../config";
import type { BuildLock } from "../engine/buildLock";
import type { DockerEngine } from "../engine/docker";
import { pullImage, pushImage, type Registry, registryOf } from "../engine/registry";
import { buildWithSecrets, type SecretBuild } from "../engine/secretBuild";
import { endPlugin, watchServer } from "../engine/serverWatch";
import { shipImages } from "../engine/ship";
import { keptStages, showsStage } from "../proof/proveImage";
import type { BuildBasis } from "../release/buildBasis";
import { dependencyRepository } from "../release/dependencies";
import type { Engines } from "../release/engineAccess";
import { fail } from "../release/failure";
import type { Attempt, HeldDependencies, ImageRecord, ReleaseRecord } from "../release/record";
import type { StepClock } from "../release/stepClock";
import { shortIdentity } from "../source/checkout";
import type { Source } from "../source/prepare";
import { BuildCachePrune, pruneCommand, type ReclaimedSpace } from "./buildCachePrune";
import { DependencyImage } from "./dependencyImage";
import { FreshImage } from "./freshImage";
import { provenImage } from "./provenImage";
import { stageResources } from "./run/resourceNames";

export interface BuiltImagesArgs {
  readonly config: DeployConfig;
  readonly source: Source;
  /** A new one prunes and builds. */
  readonly attempt: Attempt;
  /** Whether this is a new one. */
  readonly builds: boolean;
  /** Service → the name of its images. */
  readonly repository: (service: string) => string;
  readonly basis: Pick<BuildBasis, "bases" | "dependencies" | "parallel">;
  /** Service → what is known of its image from the last deploy. */
  readonly known: Readonly<Record<string, ImageRecord>>;
  readonly access: Engines;
  readonly clock: StepClock;
  /** Is run when a build fails; absent in a preview. */
  readonly onFailure?: pulumi.ErrorHook;
  /** What has to be there before anything is pruned or built. */
  readonly after: pulumi.Resource;
  /** The right to prune and build on the engine; absent where nothing is built. */
  readonly lock?: Promise<BuildLock>;
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
  services: readonly ServiceConfig[],
): pulumi.Output<ImageRecord>[] {
  return services.map(
    (service) =>
      pulumi.output(
        Promise.resolve(recordFor(service, images[imageOf(service)]!)),
      ) as pulumi.Output<ImageRecord>,
  );
}

/** What is known of the image that a service runs, in that service's name. */
function recordFor({ name, image }: Pick<ServiceConfig, "name" | "image">, record: ImageRecord): ImageRecord {
  if (image === undefined) return record;
  return { ...record, verdicts: record.verdicts.map((verdict) => ({ ...verdict, service: name })) };
}

/**
 * Prunes, builds every service's image from the commit, all of them side by side, proves each, and hands it on to the
 * registry and to the engine that runs it.
 *
 * A container names its image by the id, which is the same wherever it came from: a registry that is added, moved or left
 * changes no container, and the proofs compare one id on every way.
 */
export function buildImages(args: BuiltImagesArgs): BuiltImages {
  const { config, source, attempt, access, clock, basis, onFailure } = args;
  const { engine, provider, server } = access.builder ?? access;
  const registry = registryOf(config);
  const commit = source.checkout.identity;
  const tag = shortIdentity(commit);
  const prunes = args.builds && !pulumi.runtime.isDryRun();
  const watch = prunes ? () => watchPrune(engine, access.cli) : undefined;
  const pruning = {
    scope: config.buildCache,
    tag,
    triggers: [attempt.id],
    server,
    watch,
    lock: args.lock,
  };
  const prune = new BuildCachePrune("prune", pruning, { dependsOn: args.after, provider: access.commands });
  const pruned = clock.mark("prune", prune.reclaimed);

  const own = config.services
    .filter(({ image }) => image === undefined)
    .map((service) => ({
      ...service,
      dockerfile: source.inputs[service.name]!.dockerfilePath,
      platform: config.platform,
    }));
  const stages = Object.fromEntries(
    own.map((service) => [service.name, keptStages(service, source.inputs[service.name]!)]),
  );
  const resources = stageResources(stages);
  const made: FreshImage[] = [];
  const holding: pulumi.Output<[string, HeldDependencies][]>[] = [];
  const built = own.map((service, at) => {
    const { name } = service;
    const inputs = source.inputs[name]!;
    const secrets = buildSecretsOf(service);
    const buildArgs = { ...service.args, GIT_COMMIT_HASH: commit };
    /** The context of a build whose steps with secrets are in the cache: after the prune, which would take them out. */
    const cached = (
      build: Pick<SecretBuild, "dockerfile" | "target" | "args">,
      context: string | Promise<string>,
      ...after: pulumi.Input<string>[]
    ): pulumi.Input<string> => {
      if (Object.keys(secrets).length === 0 || !args.builds || pulumi.runtime.isDryRun()) return context;
      return pulumi.all([prune.prunedAt, ...after]).apply(async () => {
        const path = await context;
        try {
          await buildWithSecrets(engine, { ...build, context: path, platform: config.platform, secrets });
        } catch (cause) {
          throw new pulumi.RunError(`build of ${name}: ${(cause as Error).message}`);
        }
        return path;
      });
    };
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
          context: cached({ ...context, dockerfile: "Dockerfile", target: context.stage }, context.context),
          repository: dependencyRepository(args.repository(name)),
          onFailure,
        },
        { provider, dependsOn },
      );
    const image = new FreshImage(
      name,
      {
        ...{ service, commit, tag, platform: config.platform, replacementTrigger: attempt.id },
        context: cached(
          { dockerfile: service.dockerfile, target: service.target, args: buildArgs },
          source.contexts[name]!,
          ...(dependencies ? [dependencies.digest] : []),
        ),
        repository: args.repository(name),
        stages: stages[name] ?? [],
        stageResources: resources[name] ?? {},
        onFailure,
      },
      { provider, dependsOn: dependencies ? [...dependsOn, dependencies] : dependsOn },
    );
    made.push(image);
    if (dependencies && held)
      holding.push(
        pulumi
          .all([dependencies.digest, image.digest, image.stageDigests])
          .apply(async ([of, final, stages]) => {
            const { digest, replaces } = args.known[name] ?? {};
            const isKnown = digest === final || replaces === final || pulumi.runtime.isDryRun();
            const shows = showsStage(service, inputs, context.stage);
            return isKnown || !shows || (await isHeld(engine, of, [final, ...Object.values(stages)]))
              ? [[name, held]]
              : [[name, { ...held, lost: true }]];
          }),
      );
    const { prunedAt } = prune;
    const proof = { engine, service, commit, inputs, prunedAt, known: args.known[name], builds: args.builds };
    const proven = provenImage(image, proof).apply((record) => {
      const of = { attempt, image: record, bases: basis.bases, held };
      image.remember(pulumi.runtime.isDryRun() ? undefined : of);
      return record;
    });
    return {
      name,
      digest: image.digest,
      proven: access.builder || registry ? handedOn(proven, name) : proven,
    };
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
    try {
      await engine.removeTags(made.flatMap(({ stageImages }) => stageImages));
      await engine.script(pruneCommand("prune"));
    } finally {
      await (await args.lock)?.release();
    }
  };
  return {
    images: config.services.map((service) =>
      built
        .find(({ name }) => name === imageOf(service))!
        .proven.apply((record) => recordFor(service, record)),
    ),
    pruned,
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

/** Ends the remote command where its server falls silent: by itself it would wait for ever, and hold the stack's lock. */
function watchPrune(engine: DockerEngine, cli: number): () => void {
  return watchServer({
    ask: () => engine.assertAnswers(),
    onSilence: async (why) => {
      await pulumi.log.error(
        `the prune on the server is given up: ${why}. Nothing was changed there; check the server and its connection, then run the same command again`,
      );
      await endPlugin(cli, "command");
    },
  });
}
