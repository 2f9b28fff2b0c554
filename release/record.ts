import type { Verdict, Versions } from "../freshness/chain";
import type { Starts } from "../freshness/container/initProgram";
import type { Deployment } from "../proof/deployment";
import type { BuildSettings } from "./settings";

/** The last successful deploy. Stored as an encrypted output of the stack. */
export interface DeployRecord {
  /** The attempt that created the containers. */
  readonly run: Attempt;
  /** The running release. */
  readonly current: ReleaseRecord;
  /** The releases that a rollback can choose, newest first, with the running one. */
  readonly releases: readonly ReleaseRecord[];
  /** The commit that a rollback left, as long as the rollback holds. */
  readonly left?: string;
  /** The proven deployment. `verify` proves it again. */
  readonly deployment: Deployment;
  /** The stack's volumes by ID, in use or kept. Absent in the records of earlier versions. */
  readonly volumes?: Readonly<Record<string, VolumeRecord>>;
}

/**
 * An image, what Docker's health check can use in it, and its verdicts. All of it is valid as long as the digest stays
 * the same.
 */
export interface ImageRecord {
  readonly digest: string;
  /** `none` for an image without a shell. Earlier records name the client itself. */
  readonly healthClient: string;
  readonly verdicts: readonly Verdict[];
  /** What the image starts. Absent in the records of earlier versions. */
  readonly starts?: Starts;
  /** Its reference in the registry, `address/repository@sha256:…`; absent if it is in no registry. */
  readonly pushed?: string;
  /**
   * The image from its first build, if a prune by another process required a second build. Pulumi's state has this one.
   */
  readonly replaces?: string;
  /** Whether its stages were built again. */
  readonly stagesAgain?: boolean;
}

/** A volume: its name on the engine, and the name of its resource. */
export interface VolumeRecord {
  readonly name: string;
  readonly resource: string;
}

/** An attempt to create what `key` describes. */
export interface Attempt {
  /** A hash of all inputs, secrets included. */
  readonly key: string;
  readonly id: string;
}

/** A release that was deployed and proven, with all that is needed to run it again without a build. */
export interface ReleaseRecord {
  readonly commit: string;
  readonly build: Attempt;
  /** The settings that it was built with. */
  readonly made: BuildSettings;
  /** The stack that its images were built for, if it is another stack. */
  readonly from?: string;
  /** Service → its image. */
  readonly images: Readonly<Record<string, ImageRecord>>;
  /** Its base images. Absent in the records of earlier versions. */
  readonly bases?: Bases;
  /** Service → the image that holds its dependencies. */
  readonly dependencies?: Readonly<Record<string, HeldDependencies>>;
  /** The verdicts on its source: the links `commit`, `dockerfile` and `cache`. */
  readonly source: readonly Verdict[];
  /** Versions of the tools that built its images. */
  readonly versions: Versions;
  /** When it was first proven, ISO 8601. */
  readonly time: string;
  /** Who deployed it. */
  readonly by: string;
  /** How long the deploy took. */
  readonly seconds: number;
  /** Step → how long it took. Absent in the records of earlier versions. */
  readonly steps?: Readonly<Record<string, number>>;
}

/** Base image → its ID on the engine that builds. */
export type Bases = Readonly<Record<string, string>>;

/** An image that holds a service's dependencies. The tag identifies it, and a new `id` rebuilds it. */
export interface HeldDependencies extends Attempt {
  readonly tag: string;
  /** The last build did not find it in the cache. The next build rebuilds it. */
  readonly lost?: boolean;
}
