/** Space a prune gave back: the engine's words and, where they can be read, bytes. */

import { broken, EVERY_SERVICE, FreshnessError } from "../freshness/chain";

export interface ReclaimedSpace {
  readonly text: string;
  readonly bytes: number | null;
}
/**
 * The command that prunes, in any POSIX shell with any docker CLI. It prints only the CLI's last line: the rest lists every
 * record that it removes. No pipe hides a failure.
 *
 * DOCKER_BUILDKIT=0 makes every docker CLI prune the engine's own BuildKit, the one that docker.Image builds with: from
 * version 23 on, `docker builder` is buildx's alias and prunes whichever builder is selected.
 *
 * What an image holds survives `prune -f`. That is no harm for a new commit, whose layers no image holds yet; a commit
 * that was built before would come back from the cache, so it is purged.
 *
 * @param tag of the images that are built next; absent: none are
 */
export function pruneCommand(scope: "prune" | "purge", tag?: string): string {
  const prune = (flags: string) => `said=$(DOCKER_BUILDKIT=0 docker builder prune ${flags})`;
  // A stage's image is named below the service's: one alone is what a deploy leaves that was killed before the other was there.
  const named = [`*:${tag}`, `*/*:${tag}`].map((name) => `--filter 'reference=${name}'`).join(" ");
  const held = `held=$(docker image ls --quiet ${named})`;
  const pruning =
    scope === "purge"
      ? prune("-af")
      : tag === undefined
        ? prune("-f")
        : `${held} && if [ -z "$held" ]; then ${prune("-f")}; else ${prune("-af")}; fi`;
  const clock = "docker info --format 'Pruned at {{.SystemTime}}'";
  return `echo 'Pruning Docker build cache…' && ${pruning} && printf '%s\\n' "$said" | tail -n 1 && ${clock}`;
}

/** Reads the engine's clock from the output of the prune; empty if the output has none. */
export function parsePrunedAt(stdout: string): string {
  return /^Pruned at (\S+)$/m.exec(stdout ?? "")?.[1] ?? "";
}

/**
 * The warning for a prune that succeeded without reporting reclaimed space: what it removed is unknown.
 * It is no refusal, for the link `image` compares the age of each layer made from source with the prune's time.
 */
export function pruneWarning(stdout: string): string | undefined {
  if (parseReclaimed(stdout).bytes !== null) return undefined;
  const said = (stdout ?? "").split("\n").filter((line) => line !== "" && !/^Prun(ing|ed at) /.test(line));
  const verdict = broken({
    link: "cache",
    service: EVERY_SERVICE,
    wrong: "the prune did not report the space that it reclaimed",
    expected: '"Total reclaimed space: …"',
    found: said.length === 0 ? "nothing" : `"${said.at(-1)?.slice(0, 80)}"`,
    evidence: "docker builder prune",
    remedy: "Deploy with a docker CLI and an engine that docs/engines.md lists.",
  });
  return new FreshnessError(verdict).message;
}

/** Reads `Total reclaimed space: 1.2GB` (docker) and `Total: 1.2GB` (buildx). */
export function parseReclaimed(stdout: string): ReclaimedSpace {
  const [, number, unit] =
    /^Total(?: reclaimed space)?:\s*([\d.]+)\s*([kKMGT]?i?B)\s*$/m.exec(stdout ?? "") ?? [];
  if (unit === undefined) return { text: "unknown", bytes: null };
  const base = unit.includes("i") ? 1024 : 1000;
  const power = ["B", "K", "M", "G", "T"].indexOf(unit.replace(/i?B$/, "").toUpperCase() || "B");
  return { text: `${number}${unit}`, bytes: Math.round(Number(number) * base ** power) };
}
