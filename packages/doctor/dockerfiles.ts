import { posix } from "node:path";
import { cacheFindings } from "../../freshness/cache";
import { programOf } from "../../freshness/dockerfile/shell";
import type { Executed } from "../../freshness/dockerfile/state";
import { swallowedFindings } from "../../freshness/dockerfile/swallowed";
import { type Build, dockerfileOf, type Use } from "./builds";
import { importFinding } from "./caches";
import { valuesOf } from "./docker";
import type { Finding } from "./finding";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";
import { ignoreFindings, outsideFindings } from "./outputs";
import type { Repository } from "./repository";
import { isForDevelopment } from "./scope";
import { sourceFindings } from "./sources";

/** Findings for a Dockerfile that can serve stale code. */
export function dockerfileFindings(
  repository: Repository,
  build: Build,
  executed: readonly Executed[],
  around: {
    readonly uses: readonly Use[];
    readonly ownership: Ownership;
    readonly isProven: boolean;
    /** The compose services that run it; empty if none does. */
    readonly runBy: readonly RunBy[];
  },
): Finding[] {
  const { dockerfile: path, target, args } = build;
  const { uses, ownership, isProven, runBy } = around;
  // The arguments of a compose file or a script are judged in that file.
  const { BUILDKIT_INLINE_CACHE: _, ...others } = args;
  const isKept = uses.some(({ via, isHosted, isCheck }) => via !== undefined && !isHosted && !isCheck);
  const isOther = isForDevelopment(path);
  const noCache = uses.length > 0 && uses.every((use) => use.noCache);
  const cached = cacheFindings({
    service: path,
    path,
    dockerfile: dockerfileOf(repository, build),
    ...(target !== undefined && { target }),
    args: others,
  });
  return [
    ...cached.flatMap((finding): Finding | [] => {
      const place = { path, line: finding.line ?? 1 };
      if (!finding.found.startsWith("--mount"))
        return importFinding(
          "inline-cache",
          place,
          finding.found,
          { isKept: true, isProven },
          finding.remedy,
        );
      return mountFinding(finding, place, executed);
    }),
    ...swallowedFindings(path, executed).map(
      ({ line, why, found, remedy }): Finding => ({
        rule: "build-failure-swallowed",
        severity: "warning",
        path,
        line: line ?? 1,
        why: `${why}, if the folder or an earlier stage has it`,
        found,
        fix: remedy,
      }),
    ),
    ...sourceFindings(build, executed, { ownership, isKept, noCache }),
    ...(isOther ? [] : baseFindings(build, executed, uses, ownership)),
    ...volumeFindings(build, executed, runBy),
    ...(isOther ? [] : ignoreFindings(repository, build, executed, uses)),
    ...outsideFindings(repository, build, executed, uses),
  ];
}

/** Caches that a tool checks before it uses them: their entries name what they were made from. */
const CHECKED =
  /(^|\/)(node_modules\/\.(cache|vite)|\.turbo|\.parcel-cache|\.angular(\/cache)?|\.docusaurus|\.vite)(\/|$)/;

/** The finding for a cache mount over sources or build output. */
function mountFinding(
  { why, found, remedy }: ReturnType<typeof cacheFindings>[number],
  place: { readonly path: string; readonly line: number },
  executed: readonly Executed[],
): Finding | [] {
  const target = posix.normalize(found.slice(found.lastIndexOf("=") + 1)).replace(/\/$/, "");
  const finding = { rule: "cache-mount", severity: "error", ...place, why, found, fix: remedy } as const;
  const own = executed.filter(({ step }) => step.line === place.line);
  const cargo = own.flatMap(({ commands, workdir }) =>
    commands.map(programOf).flatMap(({ program, args }) => {
      const [folder] = valuesOf(args, "--target-dir");
      return program === "cargo" ? [folder === undefined ? target : posix.resolve(workdir, folder)] : [];
    }),
  );
  // The build writes elsewhere, and nothing of the mount gets into the image.
  if (cargo.length > 0 && !cargo.some((folder) => `${folder}/`.startsWith(`${target}/`))) return [];
  if (cargo.length > 0)
    return {
      ...finding,
      severity: "warning",
      why: `cargo compares times: where a file of this commit is older than the last build on this builder (a second checkout, kept times), what an earlier commit compiled to is taken from the cache mount at ${target}`,
      fix: `${remedy} Or let every source be newer: RUN find . -name '*.rs' -exec touch {} + before the build.`,
    };
  if (!CHECKED.test(target)) return finding;
  return {
    ...finding,
    severity: "warning",
    why: `where a tool trusts what an earlier build left in the cache mount at ${target}, old results get into the image`,
  };
}

/** Findings for a repository's own base image under a moving tag. */
function baseFindings(
  { dockerfile: path }: Build,
  executed: readonly Executed[],
  uses: readonly Use[],
  ownership: Ownership,
): Finding[] {
  const called = uses.filter(({ via }) => via !== undefined);
  // A machine that is deleted after the job has no outdated image.
  if (called.length > 0 && called.every(({ pulls, isHosted, isCheck }) => pulls || isHosted || isCheck))
    return [];
  const stages = new Map(executed.map(({ stage }) => [stage.index, stage]));
  return [...stages.values()].flatMap((stage): Finding[] => {
    if (stage.parent || ownership.built.size === 0) return [];
    const image = imageName(stage.image);
    if (!image || !isMovingTag(image) || !isOwn(image, ownership)) return [];
    const local = image.owner === "" && image.registry === "docker.io";
    // An image that is built but never pushed cannot be pulled.
    if (local) return [];
    return [
      {
        rule: "base-not-pulled",
        severity: "warning",
        path,
        line: stage.line,
        why: `${stage.image} is an image of one's own whose tag moves: a builder that has an image of this name does not ask for a newer one`,
        found: `FROM ${stage.image}`,
        fix: `Build with --pull (docker build --pull, pull: true), or name the image by its digest.`,
      },
    ];
  });
}

/** The folders of an image that its last stage copies sources to. */
export function copiedFolders(executed: readonly Executed[]): string[] {
  const last = executed.at(-1)?.stage;
  return executed.flatMap(({ stage, brings, step, workdir }) => {
    const destination = (step.json ?? step.text.split(/\s+/)).at(-1);
    const isCopy = stage === last && brings !== undefined && step.keyword !== "RUN";
    return isCopy && destination !== undefined ? [posix.resolve(workdir, destination)] : [];
  });
}

/** A compose service that runs an image. */
export interface RunBy {
  /** Where the service is written: path and line. */
  readonly place: string;
  /** Whether each script that starts it removes the container before, and with it its anonymous volumes. */
  readonly isRenewed: boolean;
  /** The paths that it mounts something over. */
  readonly mounted: readonly string[];
}

/** Findings for `VOLUME` over files of the image: compose keeps such a volume when it recreates the container. */
function volumeFindings(
  { dockerfile: path }: Build,
  executed: readonly Executed[],
  runBy: readonly RunBy[],
): Finding[] {
  const last = executed.at(-1)?.stage;
  const folders = copiedFolders(executed);
  return executed
    .filter(({ stage, step }) => stage === last && step.keyword === "VOLUME")
    .flatMap(({ step, workdir }): Finding[] => {
      const covered = (step.json ?? step.text.split(/\s+/))
        .map((volume) => posix.resolve(workdir, volume))
        .find((volume) => folders.some((folder) => folder === volume || folder.startsWith(`${volume}/`)));
      if (covered === undefined) return [];
      const keeper = runBy.find(({ isRenewed, mounted }) => !isRenewed && !mounted.includes(covered));
      if (runBy.length > 0 && !keeper) return [];
      return [
        {
          rule: "volume-over-image",
          severity: keeper ? "error" : "warning",
          path,
          line: step.line,
          why: keeper
            ? `${covered} holds files of the image and is a volume: docker compose up (${keeper.place}) keeps it when it creates the container again, with the files of the first image`
            : `${covered} holds files of the image and is a volume: if docker compose runs the image, it keeps the volume when it creates the container again, with the files of the first image`,
          found: `VOLUME ${step.text}`,
          fix: `Remove ${covered} from VOLUME; a volume is for data that the app writes.`,
        },
      ];
    });
}
