import type { DockerEngine } from "../engine/docker";
import type { DependencyContext } from "../source/dependencies";
import { attempt } from "./lastDeploy";
import type { HeldDependencies, ReleaseRecord } from "./record";

/** The name of a service's dependency images. */
export function dependencyRepository(repository: string): string {
  return `${repository}.dependencies`;
}

/** Inputs that decide whether to rebuild a service's dependency image. */
export interface Holding {
  readonly contexts: Readonly<Record<string, DependencyContext>>;
  readonly platform: string;
  /** Service → base image → its ID. */
  readonly bases: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The dependency images of the running release. */
  readonly known: ReleaseRecord["dependencies"];
  /** Whether this deploy's prune removes the whole cache, including layers that images hold. */
  readonly purges: boolean;
  /** Service → the name of its images. */
  readonly repository: (service: string) => string;
}

/**
 * Returns the dependency images for a build. Reuses the earlier ones that still exist and match the build's inputs.
 * @param engine the one that builds; absent in a preview, which assumes that the earlier ones exist
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
