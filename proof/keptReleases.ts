import type { DockerEngine } from "../engine/docker";
import type { Registry } from "../engine/registry";
import type { Verdict } from "../freshness/chain";
import { keptReleasesVerdict } from "../freshness/image/releases";
import type { KeptRelease } from "./stackMemory";
import type { ToProve } from "./toProve";

/** Says which of the kept releases, besides the served one, a rollback could not choose. */
export async function proveKeptReleases({ engine, deployment, memory }: ToProve): Promise<Verdict[]> {
  if (memory === undefined) return [];
  const { name, releases, registry } = memory;
  const gone = await goneReleases(engine, releases, registry);
  const earlier = [...gone].filter(([commit]) => commit !== deployment.commit);
  return keptReleasesVerdict(name, releases.length, new Map(earlier));
}

/**
 * Lists the kept releases that cannot be rolled back to, because their images no longer exist on the engine.
 * @returns commit → the services whose images are missing
 */
export async function goneReleases(
  engine: DockerEngine,
  releases: readonly KeptRelease[],
  registry?: Registry,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const images = releases.flatMap(({ commit, images }) =>
    Object.entries(images).map(([service, image]) => ({ commit, service, image })),
  );
  const sizes = await engine.imageSizes(images.map(({ image }) => image.digest));
  const isInRegistry = ({ pushed }: { readonly pushed?: string }) =>
    registry && pushed?.startsWith(`${registry.address}/`);
  const gone = new Map<string, string[]>();
  for (const [at, { commit, service, image }] of images.entries())
    if (sizes[at] === 0 && !isInRegistry(image)) gone.set(commit, [...(gone.get(commit) ?? []), service]);
  return gone;
}
