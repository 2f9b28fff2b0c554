import type { DockerEngine } from "./docker";

const MINUTES = 60;

/**
 * Sends images from one engine to another as they are read, by way of this machine, without a registry.
 *
 * @param images names, which they keep, or ids
 */
export async function shipImages(
  from: DockerEngine,
  to: DockerEngine,
  images: readonly string[],
): Promise<void> {
  const options = { timeoutSeconds: MINUTES * 60 };
  await from.stream(["image", "save", ...images], (archive) => to.load(archive, options), options);
}
