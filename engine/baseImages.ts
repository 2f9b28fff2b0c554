import type { DockerEngine } from "./docker";

/** A base image, as the engine has it and as its registry has it now. */
export interface BaseImage {
  /** As the Dockerfile names it. */
  readonly name: string;
  /** Its id on the engine; undefined where it is not there. */
  readonly id?: string;
  /** The digest that its registry has under this name now, where the engine has another one. */
  readonly newer?: string;
}

/** Reads what the engine and the registries have of base images. One that came from no registry is asked for nowhere. */
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

/** A name as the engine lists it: `node` → `node:latest`, `docker.io/library/node:24` → `node:24`. */
export function tagOf(name: string): string {
  const short = name.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
  return /:[^/]+$/.test(short) ? short : `${short}:latest`;
}
