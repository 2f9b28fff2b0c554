import { cacheFindings } from "../freshness/cache";
import { type DockerfileRule, findingsByRule } from "../freshness/dockerfile";
import type { Finding } from "../freshness/dockerfile/finding";
import { type Build, contextOf, isForeign, stepsOf } from "./builds";
import type { Diagnosis } from "./finding";
import type { Repository } from "./repository";

const RULES: Readonly<Record<DockerfileRule, string>> = {
  unreadable: "dockerfile-unreadable",
  target: "dockerfile-target",
  reach: "commit-not-in-copy",
  foreign: "source-past-context",
  swallowed: "build-failure-swallowed",
  dependencies: "dependency-stage",
};

/** What the deploy itself would refuse in a Dockerfile. An image of third-party content alone has no source to be stale. */
export function dockerfileFindings(repository: Repository, build: Build): Diagnosis[] {
  const { dockerfile: path, target, args } = build;
  const executed = stepsOf(repository, build);
  if (executed.length > 0 && isForeign(executed)) return [];
  const input = {
    service: path,
    path,
    dockerfile: repository.texts.get(path)!,
    ...(target !== undefined && { target }),
    args,
    commitFile: "/app/COMMIT",
    contextFiles: contextOf(repository, build),
  };
  const judged = Object.entries(findingsByRule(input)) as [DockerfileRule, Finding[]][];
  // A compose file's or a script's arguments are judged where they stand.
  const { BUILDKIT_INLINE_CACHE: _, ...others } = args;
  return [
    ...judged.flatMap(([rule, findings]) =>
      findings
        // Manifests alone: dependencies of somebody else's program.
        .filter(({ found }) => found !== "none")
        .map((finding) => diagnosis(RULES[rule], finding)),
    ),
    ...cacheFindings({ ...input, args: others }).map((finding) => diagnosis(cacheRule(finding), finding)),
  ];
}

/** What a finding of the cache rule is about. */
export function cacheRule({ found }: Pick<Finding, "found">): string {
  if (found.includes("BUILDKIT_INLINE_CACHE") || found.includes("type=inline")) return "inline-cache";
  return found.startsWith("--mount") ? "cache-mount" : "cache-from";
}

/** A finding of the deploy's own rules as one of the doctor's. */
export function diagnosis(rule: string, { path, line, why, found, remedy }: Finding): Diagnosis {
  return { rule, severity: "error", path, line: line ?? 1, why, found, fix: remedy };
}
