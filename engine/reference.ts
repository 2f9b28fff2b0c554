import type { DockerEngine } from "./docker";
import { EngineError } from "./problems";

/** An image on its way to the nodes of a cluster. */
export interface Published {
  /** Its digest on the engine that has it. */
  readonly image: string;
  /** `address/repository` in the registry. */
  readonly repository: string;
  readonly tag: string;
}

const MINUTES = 10;

/**
 * Pushes an image to the registry that all nodes pull from, unless it has been.
 *
 * @returns the reference that every node pulls, `address/repository@sha256:…`
 */
export async function publishImage(engine: DockerEngine, published: Published): Promise<string> {
  const { image, repository, tag } = published;
  const known = await referenceOf(engine, image, repository);
  if (known !== undefined) return known;
  const name = `${repository}:${tag}`;
  await engine.docker(["image", "tag", image, name]);
  await engine.docker(["image", "push", "--quiet", name], { timeoutSeconds: MINUTES * 60 });
  const reference = await referenceOf(engine, image, repository);
  if (reference !== undefined) return reference;
  throw new EngineError(
    `${name} was pushed, but the engine knows no digest of it; push it by hand and try again`,
  );
}

async function referenceOf(
  engine: DockerEngine,
  image: string,
  repository: string,
): Promise<string | undefined> {
  const format = "{{json .RepoDigests}}";
  const digests: string[] = JSON.parse(await engine.docker(["image", "inspect", "--format", format, image]));
  return digests.find((each) => each.startsWith(`${repository}@`));
}
