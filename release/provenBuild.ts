import type { Attempt, Bases, HeldDependencies, ImageRecord } from "./record";
import type { StackState } from "./stackState";

/** Written into the state once an image is proven. It stays there if the deploy fails later. */
export interface ProvenBuild {
  readonly attempt: Attempt;
  readonly image: ImageRecord;
  readonly bases: Bases;
  /** The image that holds the service's dependencies, if any. */
  readonly held?: HeldDependencies;
}

/** A build with proven images, of a deploy that failed later. */
export interface ReusedBuild {
  readonly attempt: Attempt;
  /** Service → its image. */
  readonly images: Readonly<Record<string, ImageRecord>>;
  readonly bases: Bases;
  readonly dependencies: Readonly<Record<string, HeldDependencies>>;
}

const IMAGE = "docker:index/image:Image";

/**
 * Finds the build of a failed deploy that can be used again (docs/decisions/retry-builds-again.md): it is the wanted one,
 * all of its images are proven, and nothing was built since.
 * @param key of the wanted build
 */
export function provenBuild(
  state: StackState | undefined,
  key: string,
  services: readonly string[],
): ReusedBuild | undefined {
  const outputs = (type: string, name: string) =>
    state?.find((each) => each.type === type && each.name === name)?.outputs;
  const found = services.map((name) => {
    const proven = outputs("watch-party:index:FreshImage", name)?.proven as ProvenBuild | undefined;
    const built = outputs(IMAGE, name)?.repoDigest;
    // An unproven later build leaves the older proof in the state.
    const isOf = proven && [proven.image.digest, proven.image.replaces].includes(built as string);
    return isOf && proven.attempt.key === key ? { name, proven } : undefined;
  });
  const all = found.filter((each) => each !== undefined);
  const [first] = all;
  if (!first || all.length < services.length) return undefined;
  const { attempt, bases } = first.proven;
  const prune = state?.find(
    ({ type, name }) => /^command:(local|remote):Command$/.test(type) && name === "prune",
  );
  const isPruned = (prune?.outputs.triggers as readonly unknown[] | undefined)?.[0] === attempt.id;
  if (!isPruned || all.some(({ proven }) => proven.attempt.id !== attempt.id)) return undefined;
  return {
    attempt,
    bases,
    images: Object.fromEntries(all.map(({ name, proven }) => [name, proven.image])),
    dependencies: Object.fromEntries(
      all.flatMap(({ name, proven }) => (proven.held ? [[name, proven.held]] : [])),
    ),
  };
}
