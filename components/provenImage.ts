import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import type { ImageReader } from "../engine/imageFiles";
import { type BuiltService, proveImage, readAhead, readerOf } from "../engine/proveImage";
import { assertUnbroken } from "../freshness/chain";
import type { BuildInputs } from "../source/buildInputs";
import { fail } from "./failure";
import type { FreshImage } from "./freshImage";
import type { ImageRecord } from "./lastDeploy";

export interface ProvenImageArgs {
  readonly engine: DockerEngine;
  readonly service: BuiltService;
  /** What GIT_COMMIT_HASH was. */
  readonly commit: string;
  readonly inputs: BuildInputs;
  /** When this deploy's prune ended, by the engine's clock. */
  readonly prunedAt: pulumi.Output<string>;
  /** What is known of the service's image from the last deploy. */
  readonly known: ImageRecord | undefined;
  /** Whether this deploy builds the image. */
  readonly builds: boolean;
}

/**
 * Proves an image before any container is made of it: what depends on the result waits for the proof.
 * A verdict lasts as long as the digest does, so an image that is known costs nothing, and a preview asks no engine.
 */
export function provenImage(image: FreshImage, args: ProvenImageArgs): pulumi.Output<ImageRecord> {
  const { engine, known, inputs, builds } = args;
  let reader: ImageReader | undefined;
  // The stages' images are there before the image that is made from them.
  if (builds && !pulumi.runtime.isDryRun())
    image.stageDigests.apply((stages) => {
      reader = readerOf(engine, inputs);
      // The proof asks for the same reads, and is what fails by one that failed.
      readAhead(reader, { ...args, stages }).catch(() => undefined);
    });
  return pulumi
    .all([image.digest, image.stageDigests, args.prunedAt])
    .apply(async ([digest, stages, prunedAt]): Promise<ImageRecord> => {
      if (known?.digest === digest) return known;
      if (pulumi.runtime.isDryRun()) return { digest, healthClient: "none", verdicts: [] };
      try {
        const built = { ...args, image: digest, stages, prunedAt };
        const { verdicts, hasShell } = await proveImage(engine, built, reader);
        assertUnbroken(verdicts);
        return { digest, healthClient: hasShell ? "sh" : "none", verdicts };
      } catch (cause) {
        return fail(cause as Error);
      }
    });
}
