import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import { startEarly } from "../engine/until";
import { assertUnbroken } from "../freshness/chain";
import type { ImageReader } from "../proof/imageFiles";
import {
  type BuiltImage,
  type BuiltService,
  type ProvenImage,
  proveImage,
  readAhead,
  readerOf,
} from "../proof/proveImage";
import type { BuildInputs } from "../source/buildInputs";
import { fail } from "./failure";
import type { ProvenBuild } from "./provenBuild";
import type { ImageRecord } from "./record";

/** A built image. It can be built again if another process has removed a part of it. */
export interface ProvableImage {
  readonly digest: pulumi.Output<string>;
  /** Stage → the digest of its image. */
  readonly stageDigests: pulumi.Output<Record<string, string>>;
  buildStagesAgain(): pulumi.Output<Record<string, string>>;
  buildImageAgain(): pulumi.Output<string>;
  /** Writes the proof into the state; undefined in a preview. */
  remember(proven: ProvenBuild | undefined): void;
}

export interface ProvenImageArgs {
  readonly engine: DockerEngine;
  readonly service: BuiltService;
  /** The value of GIT_COMMIT_HASH. */
  readonly commit: string;
  readonly inputs: BuildInputs;
  /** When this deploy's prune ended, by the engine's clock. */
  readonly prunedAt: pulumi.Output<string>;
  /** The record of the service's image from the last deploy. */
  readonly known: ImageRecord | undefined;
  /** Whether this deploy builds the image. */
  readonly builds: boolean;
}

/**
 * Proves an image before a container is created from it: what depends on the result waits for the proof. A verdict is
 * valid as long as the digest stays the same. A known image is therefore not proven again, and a preview does not
 * connect to an engine.
 */
export function provenImage(image: ProvableImage, args: ProvenImageArgs): pulumi.Output<ImageRecord> {
  const { engine, service, known, inputs, builds } = args;
  let reader: ImageReader | undefined;
  // The stages' images exist before the image that is made from them.
  if (builds && !pulumi.runtime.isDryRun())
    image.stageDigests.apply((stages) => {
      reader = readerOf(engine, inputs);
      // The proof makes the same reads, and fails if one fails.
      void startEarly(readAhead(reader, { ...args, stages }));
    });
  return pulumi
    .all([image.digest, image.stageDigests, args.prunedAt])
    .apply(async ([digest, stages, prunedAt]): Promise<ImageRecord> => {
      if (known?.digest === digest || known?.replaces === digest) {
        // Declare again what was declared for this image, so that an `up` without changes deletes nothing.
        if (known.stagesAgain) image.buildStagesAgain();
        if (known.replaces !== undefined) image.buildImageAgain();
        return known;
      }
      if (pulumi.runtime.isDryRun()) return { digest, healthClient: "none", verdicts: [] };
      try {
        const built = { ...args, image: digest, stages, prunedAt };
        const first = await prove(engine, built, reader);
        if (first.proven) return recordOf(digest, first.proven);
        await pulumi.log.warn(
          `${service.name}: somebody removed ${first.removed} while it was built (docker builder prune -af, docker system prune -af); it is built once more`,
        );
        return await proveAgain(image, built, engine);
      } catch (cause) {
        return fail(cause as Error);
      }
    });
}

function recordOf(digest: string, { verdicts, hasShell, starts }: ProvenImage): ImageRecord {
  assertUnbroken(verdicts);
  return { digest, healthClient: hasShell ? "sh" : "none", verdicts, starts };
}

/** Proves an image. An image part that another process removed meanwhile does not count as a failed proof. */
async function prove(
  engine: DockerEngine,
  built: BuiltImage,
  reader?: ImageReader,
): Promise<{ readonly proven?: ProvenImage; readonly removed?: string }> {
  try {
    const proven = await proveImage(engine, built, reader);
    return proven.isOfOtherStages ? { removed: "the build cache" } : { proven };
  } catch (cause) {
    const sizes = await engine.imageSizes([built.image, ...Object.values(built.stages)]);
    if (sizes.includes(0)) return { removed: "an image" };
    throw cause;
  }
}

/**
 * Builds the stages again, which is quick while the image's own build is in the cache, and also the image if that is
 * not enough. Then proves the result.
 */
async function proveAgain(
  image: ProvableImage,
  first: BuiltImage,
  engine: DockerEngine,
): Promise<ImageRecord> {
  const stages = await settledValue(image.buildStagesAgain());
  const [size] = await engine.imageSizes([first.image]);
  if (size !== 0) {
    const { proven } = await prove(engine, { ...first, stages });
    if (proven) return { ...recordOf(first.image, proven), stagesAgain: true };
  }
  const digest = await settledValue(image.buildImageAgain());
  const proven = await proveImage(engine, { ...first, stages, image: digest });
  return { ...recordOf(digest, proven), stagesAgain: true, replaces: first.image };
}

/** The value of an output, once it is known. */
function settledValue<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => {
    output.apply((value) => resolve(value));
  });
}
