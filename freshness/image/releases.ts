import { EVERY_SERVICE, type Verdict } from "../chain";
import { commandLine } from "../project";

/**
 * Reports kept releases whose images are missing, so that a rollback is impossible. The entry is a warning, because the
 * served release is not affected.
 * @param kept number of kept releases
 * @param gone commit → services whose images are missing on the engine
 * @returns an empty list if all images exist
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
      found: `${named.join(", ")} cannot be rolled back to; build it with "WATCH_PARTY_COMMIT=${first} ${commandLine(`up --stack ${stack} --allow-older`)}"`,
      evidence: "docker image inspect",
    },
  ];
}
