import * as pulumi from "@pulumi/pulumi";
import { buildSecretsOf } from "../config/secrets";
import { imageOf, type ServiceConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { pruneCommand, type ReclaimedSpace } from "../engine/prune";
import { pullImage, pushImage, type Registry, registryOf } from "../engine/registry";
import { buildWithSecrets, type SecretBuild } from "../engine/secretBuild";
import { endPlugin, watchServer } from "../engine/serverWatch";
import { shipImages } from "../engine/ship";
import { hasVersion } from "../freshness/served/upstream";
import { keptStages, showsStage } from "../proof/proveImage";
import type { BuildInputs } from "../source/buildInputs";
import type { Source } from "../source/prepare";
import { dependencyRepository } from "./dependencies";
import { fail } from "./failure";
import type { Prepared } from "./prepare";
import { type ProvableImage, provenImage } from "./provenImage";
import type { HeldDependencies, ImageRecord } from "./record";
import { stageResources } from "./resourceNames";

/** The output of the prune that the images need. */
interface Pruned extends pulumi.Resource {
  readonly prunedAt: pulumi.Output<string>;
  readonly reclaimed: pulumi.Output<ReclaimedSpace>;
}

/** The image with a service's dependencies, once declared. */
interface BuiltDependencies extends pulumi.Resource {
  readonly digest: pulumi.Output<string>;
}

/** An image of a service, once declared. */
interface BuiltImage extends ProvableImage {
  /** The resource that a later image depends on: the component itself ends only when the image is proven. */
  readonly image: pulumi.Resource;
  readonly stageImages: readonly string[];
}

/**
 * The images of a deploy: the inputs of the components that build them, and the verdicts on each. A container refers to
 * its image by ID, which does not depend on where the image came from. Adding, moving or removing a registry therefore
 * changes no container, and the proofs always compare the same ID.
 */
export class ServiceImages {
  /** Services that build an image. The others run one of these images. */
  readonly built: readonly ServiceConfig[];
  private readonly images = new Map<string, pulumi.Output<ImageRecord>>();
  private readonly digests: pulumi.Output<string>[] = [];
  private readonly declared: BuiltImage[] = [];
  private readonly holding: pulumi.Output<[string, HeldDependencies][]>[] = [];
  private readonly stages: Readonly<Record<string, readonly string[]>>;
  /** Service → stage → the name of its image's resource. */
  private readonly stageResources: ReturnType<typeof stageResources>;
  private pruned: pulumi.Input<unknown>;
  private readonly registry: Registry | undefined;

  constructor(private readonly deploy: Prepared) {
    const { config, plan, last } = deploy;
    this.registry = registryOf(config);
    this.pruned = last.pruned;
    this.built = plan.kind === "reuse" ? [] : config.services.filter(({ image }) => image === undefined);
    this.stages = Object.fromEntries(
      this.built.map((service) => [
        service.name,
        keptStages(this.withDockerfile(service), this.inputs(service)),
      ]),
    );
    this.stageResources = stageResources(this.stages);
    // The images of a rollback's release exist already: nothing is pruned or built.
    const kept = plan.kind === "reuse" ? plan.release.images : {};
    for (const [name, image] of Object.entries(kept))
      this.images.set(name, pulumi.output(Promise.resolve(image)) as pulumi.Output<ImageRecord>);
  }

  /** The inputs of the prune on the engine that builds. A new attempt prunes again. */
  pruneArgs() {
    const { config, plan, names, access, lock, preview } = this.deploy;
    const { engine, server } = this.builder;
    const prunes = plan.builds && !preview;
    return {
      scope: config.buildCache,
      tag: names.tag,
      triggers: [plan.build.id],
      server,
      watch: prunes ? () => watchPrune(engine, access.cli) : undefined,
      lock,
    };
  }

  /**
   * The inputs of a service's dependency image; undefined if its Dockerfile has no stage that only installs
   * dependencies.
   */
  dependencyArgs(service: ServiceConfig, prune: Pruned) {
    const { config, basis, names, onFailure } = this.deploy;
    const source = this.source.dependencies[service.name];
    const held = basis.dependencies[service.name];
    if (!source || !held) return undefined;
    const build = { ...source, dockerfile: "Dockerfile", target: source.stage };
    return {
      source,
      held,
      platform: config.platform,
      context: this.withSecrets(service, build, source.context, prune),
      repository: dependencyRepository(names.repository(service.name)),
      onFailure,
    };
  }

  /** The inputs of a service's image. The commit is a build argument, and each new attempt replaces the image. */
  imageArgs(service: ServiceConfig, prune: Pruned, dependencies: BuiltDependencies | undefined) {
    const { config, plan, names, onFailure } = this.deploy;
    const { name } = service;
    const own = this.withDockerfile(service);
    const build = {
      dockerfile: own.dockerfile,
      target: service.target,
      args: { ...service.args, GIT_COMMIT_HASH: this.commit },
    };
    const context = this.source.contexts[name] ?? "";
    return {
      dockerfile: own.dockerfile,
      target: service.target,
      args: service.args,
      commit: this.commit,
      tag: names.tag,
      platform: config.platform,
      replacementTrigger: plan.build.id,
      context: this.withSecrets(service, build, context, prune, dependencies),
      repository: names.repository(name),
      stages: this.stages[name] ?? [],
      stageResources: this.stageResources[name] ?? {},
      onFailure,
    };
  }

  /**
   * The images to wait for. As many images build in parallel as fit in the engine's memory. The next one starts after
   * the first of them.
   */
  earlierBuilds(): pulumi.Resource[] {
    const before = this.declared[this.declared.length - this.deploy.basis.parallel];
    return before ? [before.image] : [];
  }

  /**
   * Proves an image, and passes it to the registry and to the engine that runs it. Containers get the image from `of()`,
   * which waits for that.
   */
  prove(
    service: ServiceConfig,
    image: BuiltImage,
    prune: Pruned,
    dependencies: BuiltDependencies | undefined,
  ): void {
    const { plan, basis, access, preview } = this.deploy;
    const { name } = service;
    const held = basis.dependencies[name];
    if (this.digests.length === 0) this.pruned = this.deploy.clock.mark("prune", prune.reclaimed);
    this.declared.push(image);
    this.digests.push(image.digest);
    if (this.declared.length === this.built.length)
      this.deploy.clock.mark("images", pulumi.all(this.digests));
    if (dependencies && held) this.holding.push(this.hold(service, image, dependencies, held));
    const proof = {
      engine: this.builder.engine,
      service: this.withDockerfile(service),
      commit: this.commit,
      inputs: this.inputs(service),
      prunedAt: prune.prunedAt,
      known: this.known[name],
      builds: plan.builds,
    };
    const proven = provenImage(image, proof).apply((record) => {
      image.remember(preview ? undefined : { attempt: plan.build, image: record, bases: basis.bases, held });
      return record;
    });
    this.images.set(name, access.builder || this.registry ? this.handOn(proven, name) : proven);
  }

  /** The image that a service runs, with its verdicts under the service's name. */
  of(service: ServiceConfig): pulumi.Output<ImageRecord> {
    const image = this.images.get(imageOf(service));
    if (image === undefined) throw new pulumi.RunError(`service ${service.name} has no image`);
    return image.apply((record) => recordFor(service, record));
  }

  /** Space that the last prune reclaimed. */
  get reclaimed(): pulumi.Input<unknown> {
    return this.pruned;
  }

  /** Service → the image that holds its dependencies. */
  get heldDependencies(): pulumi.Output<Readonly<Record<string, HeldDependencies>> | undefined> {
    const { plan } = this.deploy;
    if (plan.kind === "reuse") return pulumi.output(Promise.resolve(plan.release.dependencies));
    return pulumi.all(this.holding).apply((all) => Object.fromEntries(all.flat()));
  }

  /**
   * Removes the stages' images and the part of the build cache that only they used. Otherwise the next deploy's prune
   * would do it, and the whole deploy waits for that prune. Call it once everything is proven. Absent if nothing is
   * built.
   */
  get clear(): (() => Promise<void>) | undefined {
    const { plan, preview, lock } = this.deploy;
    if (!plan.builds || preview) return undefined;
    const { engine } = this.builder;
    return async () => {
      try {
        await engine.removeTags(this.declared.flatMap(({ stageImages }) => stageImages));
        await engine.script(pruneCommand("prune"));
      } finally {
        await (await lock)?.release();
      }
    };
  }

  /** The engine that builds. */
  get builder() {
    return this.deploy.access.builder ?? this.deploy.access;
  }

  private get source(): Source {
    const { source } = this.deploy.plan;
    if (source === undefined) throw new Error("a release that is built has no source");
    return source;
  }

  private get commit(): string {
    return this.source.checkout.identity;
  }

  /** Service → the record of its image from the last deploy. */
  private get known(): Readonly<Record<string, ImageRecord>> {
    const { plan, last } = this.deploy;
    return (plan.reused ?? last.record?.current)?.images ?? {};
  }

  private inputs({ name }: ServiceConfig): BuildInputs {
    const inputs = this.source.inputs[name];
    if (inputs === undefined) throw new Error(`service ${name} has no build context`);
    return inputs;
  }

  private withDockerfile(service: ServiceConfig) {
    const { platform } = this.deploy.config;
    const commitFile = hasVersion(service) ? service.commitFile : "";
    return { ...service, commitFile, dockerfile: this.inputs(service).dockerfilePath, platform };
  }

  /**
   * The build context of an image. Steps that use build secrets are built into the cache first, after the prune,
   * because docker.Image cannot pass secrets.
   */
  private withSecrets(
    service: ServiceConfig,
    build: Pick<SecretBuild, "dockerfile" | "target" | "args">,
    context: string | Promise<string>,
    prune: Pruned,
    dependencies?: BuiltDependencies,
  ): pulumi.Input<string> {
    const { config, plan, preview } = this.deploy;
    const secrets = buildSecretsOf(service);
    if (Object.keys(secrets).length === 0 || !plan.builds || preview) return context;
    return pulumi.all([prune.prunedAt, ...(dependencies ? [dependencies.digest] : [])]).apply(async () => {
      const path = await context;
      const { platform } = config;
      try {
        await buildWithSecrets(this.builder.engine, { ...build, context: path, platform, secrets });
      } catch (cause) {
        throw new pulumi.RunError(`build of ${service.name}: ${(cause as Error).message}`);
      }
      return path;
    });
  }

  /** The dependency image for the next deploy. Marked as lost if this build did not use it. */
  private hold(
    service: ServiceConfig,
    image: BuiltImage,
    dependencies: BuiltDependencies,
    held: HeldDependencies,
  ): pulumi.Output<[string, HeldDependencies][]> {
    const { name } = service;
    const { stage = "" } = this.source.dependencies[name] ?? {};
    return pulumi
      .all([dependencies.digest, image.digest, image.stageDigests])
      .apply(async ([of, final, stages]): Promise<[string, HeldDependencies][]> => {
        const { digest, replaces } = this.known[name] ?? {};
        const isKnown = digest === final || replaces === final || this.deploy.preview;
        const isShown = showsStage(this.withDockerfile(service), this.inputs(service), stage);
        const built = [final, ...Object.values(stages)];
        return isKnown || !isShown || (await isHeld(this.builder.engine, of, built))
          ? [[name, held]]
          : [[name, { ...held, lost: true }]];
      });
  }

  /**
   * Pushes an image to the registry, and brings it under its name to the engine that runs it, before a container is
   * created from it.
   */
  private handOn(proven: pulumi.Output<ImageRecord>, service: string): pulumi.Output<ImageRecord> {
    const { names, access, preview } = this.deploy;
    const { registry } = this;
    const { engine } = this.builder;
    return proven.apply(async (record) => {
      if (preview) return record;
      const image = `${names.repository(service)}:${names.tag}`;
      const isThere = this.known[service]?.digest === record.digest;
      try {
        const pushed = registry && (await inRegistry(engine, record, image, registry));
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
}

/** The record of the image that a service runs, under the service's name. */
function recordFor({ name, image }: Pick<ServiceConfig, "name" | "image">, record: ImageRecord): ImageRecord {
  if (image === undefined) return record;
  return { ...record, verdicts: record.verdicts.map((verdict) => ({ ...verdict, service: name })) };
}

/**
 * Pushes an image unless it is known to be in the registry. An `up` without changes therefore does not connect to the
 * registry.
 */
async function inRegistry(
  engine: DockerEngine,
  { pushed }: ImageRecord,
  image: string,
  registry: Registry,
): Promise<string> {
  return pushed?.startsWith(`${registry.address}/`) ? pushed : pushImage(engine, registry, image);
}

/**
 * Whether a build took its dependencies from the dependency image. If the cache was emptied meanwhile, the build
 * installed them again, and so would the next one unless the dependency image is rebuilt.
 * @param built the images of the build, including its stages'
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

/**
 * Ends the remote command if its server stops responding. Otherwise it would wait forever and hold the stack's lock.
 */
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
