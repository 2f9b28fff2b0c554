import type { DockerEngine } from "./docker";

/** A base image: the engine's version and the registry's current one. */
export interface BaseImage {
  /** The name in the Dockerfile. */
  readonly name: string;
  /** Its image ID on the engine; undefined if the engine lacks it. */
  readonly id?: string;
  /** The registry's current digest for this name, if it differs from the engine's. */
  readonly newer?: string;
}

/**
 * Reads the engine's and the registries' versions of base images. An image without a registry is not looked
 * up.
 */
export async function readBases(engine: DockerEngine, names: readonly string[]): Promise<BaseImage[]> {
  const { images } = await engine.inspect(names);
  return Promise.all(
    names.map(async (name) => {
      const image = images.find(({ tags }) => tags.includes(tagOf(name)));
      if (image === undefined) return { name };
      const registry = image.digests.length === 0 ? undefined : await engine.registryDigest(name);
      const isNewer = registry !== undefined && !image.digests.some((each) => each.endsWith(`@${registry}`));
      return { name, id: image.id, ...(isNewer && { newer: registry }) };
    }),
  );
}

/** Returns a name as the engine lists it: `node` → `node:latest`, `docker.io/library/node:24` → `node:24`. */
export function tagOf(name: string): string {
  const short = name.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
  return /:[^/]+$/.test(short) ? short : `${short}:latest`;
}
