import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import { type Attempt, attempt } from "../release/lastDeploy";
import type { ReleaseRecord } from "../release/releases";
import type { DependencyContext } from "../source/dependencies";
import { builtImage, onErrorOf } from "./freshImage";

/** An image that holds a service's dependencies: the tag tells which, a new id builds it anew. */
export interface HeldDependencies extends Attempt {
  readonly tag: string;
  /** The last build did not find it in the cache: the next one makes it anew. */
  readonly lost?: boolean;
}

export interface DependencyImageArgs {
  readonly source: DependencyContext;
  /** Its build context, once what it is built from is in the cache. */
  readonly context: pulumi.Input<string>;
  readonly held: HeldDependencies;
  readonly platform: string;
  /** The image's name, without its tag. */
  readonly repository: string;
  /** Is run when the build fails; absent in a preview. */
  readonly onFailure?: pulumi.ErrorHook;
}

/**
 * The stage that installs a service's dependencies, as an image of its own. What a tagged image holds outlives
 * `docker builder prune -f`, so that a new commit with the same lockfile finds these layers, and no others, in the cache.
 */
export class DependencyImage extends pulumi.ComponentResource {
  readonly digest: pulumi.Output<string>;

  constructor(name: string, args: DependencyImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:DependencyImage", name, {}, opts);
    const { source, context, held, platform, repository, onFailure } = args;
    const { stage: target, args: buildArgs } = source;
    const image = builtImage(
      name,
      {
        ...{ imageName: `${repository}:${held.tag}`, context, dockerfile: "Dockerfile", platform, target },
        args: buildArgs,
      },
      { parent: this, replacementTrigger: held.id, hooks: onErrorOf(onFailure) },
    );
    this.digest = image.repoDigest;
    this.registerOutputs({ digest: this.digest });
  }
}

/** The name of a service's dependency images. */
export function dependencyRepository(repository: string): string {
  return `${repository}.dependencies`;
}

/** What decides whether a service's dependency image is built anew. */
export interface Holding {
  readonly contexts: Readonly<Record<string, DependencyContext>>;
  readonly platform: string;
  /** Service → base image → its id. */
  readonly bases: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Those of the release that runs. */
  readonly known: ReleaseRecord["dependencies"];
  /** Whether this deploy's prune takes all of the cache, what images hold included. */
  readonly purges: boolean;
  /** Service → the name of its images. */
  readonly repository: (service: string) => string;
}

/**
 * The dependency images that a build is to have: those of before, where they are still there and hold what the build needs.
 *
 * @param engine the one that builds; absent in a preview, which takes those of before to be there
 */
export async function heldDependencies(
  engine: DockerEngine | undefined,
  { contexts, platform, bases, known, purges, repository }: Holding,
): Promise<Record<string, HeldDependencies>> {
  const wanted = Object.entries(contexts).map(([service, { key: tag }]) => {
    const inputs = [tag, platform, bases[service] ?? {}];
    const name = `${dependencyRepository(repository(service))}:${tag}`;
    return { service, tag, inputs, name };
  });
  const { images } = (await engine?.inspect(wanted.map(({ name }) => name))) ?? {};
  return Object.fromEntries(
    wanted.map(({ service, tag, inputs, name }) => {
      const isThere = images === undefined || images.some(({ tags }) => tags.includes(name));
      const last = known?.[service];
      const isKept = isThere && !purges && !last?.lost;
      const { key, id } = attempt(inputs, isKept ? last : undefined);
      return [service, { key, id, tag }];
    }),
  );
}
