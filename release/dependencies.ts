import type { DockerEngine } from "../engine/docker";
import type { DependencyContext } from "../source/dependencies";
import { attempt } from "./lastDeploy";
import type { HeldDependencies, ReleaseRecord } from "./record";

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
