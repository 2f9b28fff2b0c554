import { EVERY_SERVICE, type Verdict } from "../chain";

/**
 * Names the kept releases that cannot be gone back to. What is served is not touched by it: the entry is a warning, not a refusal.
 *
 * @param kept how many releases the stack keeps
 * @param gone commit → the services whose images are gone from the engine
 * @returns nothing where all of them are there
 */
export function keptReleasesVerdict(
  stack: string,
  kept: number,
  gone: ReadonlyMap<string, readonly string[]>,
): Verdict[] {
  if (gone.size === 0) return [];
  const named = [...gone].map(
    ([commit, services]) => `release ${commit.slice(0, 12)} (no image of ${services.join(" and ")})`,
  );
  const [first] = gone.keys();
  return [
    {
      link: "image",
      service: EVERY_SERVICE,
      status: "not checked",
      expected: `the images of ${kept === 1 ? "1 kept release" : `${kept} kept releases`}`,
      found: `${named.join(", ")} cannot be rolled back to; build it with "WATCH_PARTY_COMMIT=${first} npm run up -- --stack ${stack} --allow-older"`,
      evidence: "docker image inspect",
    },
  ];
}
