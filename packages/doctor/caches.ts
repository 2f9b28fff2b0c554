import type { Finding } from "./finding";

/** A build that imports layers. */
export interface CacheUse {
  /** Whether its builder, or the import, keeps layers between builds, and the result is served. */
  readonly isKept: boolean;
  /** Whether its commit is passed and reaches each layer made from source. */
  readonly isProven: boolean;
}

/**
 * The finding for an imported layer cache. If the cache keys include the commit, only the steps before it come from the
 * cache.
 */
export function importFinding(
  rule: "cache-from" | "inline-cache",
  place: { readonly path: string; readonly line: number },
  found: string,
  { isKept, isProven }: CacheUse,
  fix: string,
): Finding {
  const what =
    rule === "inline-cache"
      ? "the image carries its layers for later builds to take"
      : "layers of an earlier build are taken for this one, whatever was pruned before";
  if (isProven)
    return {
      rule,
      severity: "warning",
      ...place,
      why: `${what}; the commit is in the keys of the sources' layers, so that this concerns what stands before them: packages and downloads stay as they were`,
      found,
      fix,
    };
  return {
    rule,
    severity: isKept ? "error" : "warning",
    ...place,
    why: isKept
      ? `${what}, and no commit is in their keys: what a step has fetched stays as it was`
      : `${what}: a step that fetches from the network, or from anything but the files copied before it, gives what it gave then`,
    found,
    fix,
  };
}
