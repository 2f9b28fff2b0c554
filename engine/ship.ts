import type { DockerEngine } from "./docker";

const MINUTES = 60;

/**
 * Streams images from one engine to another through this machine, without a registry.
 *
 * @param images names, which stay the same, or IDs
 */
export async function shipImages(
  from: DockerEngine,
  to: DockerEngine,
  images: readonly string[],
): Promise<void> {
  const options = { timeoutSeconds: MINUTES * 60 };
  await from.stream(["image", "save", ...images], (archive) => to.load(archive, options), options);
}
