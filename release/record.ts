import type { Verdict, Versions } from "../freshness/chain";
import type { Starts } from "../freshness/container/initProgram";
import type { Deployment } from "../proof/deployment";
import type { BuildSettings } from "./settings";

/** What the last deploy that succeeded was made of; an encrypted output of the stack. */
export interface DeployRecord {
  /** The attempt that the containers are of. */
  readonly run: Attempt;
  /** The release that runs. */
  readonly current: ReleaseRecord;
  /** The releases that can be gone back to, the newest first; the one that runs is among them. */
  readonly releases: readonly ReleaseRecord[];
  /** The commit that a rollback left, for as long as it holds. */
  readonly left?: string;
  /** What was proven, for `verify` to prove again. */
  readonly deployment: Deployment;
  /** The stack's volumes, used or kept, by their ids. Absent in the records of earlier versions. */
  readonly volumes?: Readonly<Record<string, VolumeRecord>>;
}

/** An image, what Docker's own health check can use in it, and what was proven of it: all of it as lasting as the digest. */
export interface ImageRecord {
  readonly digest: string;
  /** `none` for an image without a shell; earlier records name the client itself. */
  readonly healthClient: string;
  readonly verdicts: readonly Verdict[];
  /** What it starts. Absent in the records of earlier versions. */
  readonly starts?: Starts;
  /** Where it is in the registry, `address/repository@sha256:…`; absent where it is in none. */
  readonly pushed?: string;
  /** The image that its first build made, where somebody's prune made a second one necessary: Pulumi knows it by that. */
  readonly replaces?: string;
  /** Whether its stages were built once more. */
  readonly stagesAgain?: boolean;
}

/** A volume: its name on the engine, and the name of its resource. */
export interface VolumeRecord {
  readonly name: string;
  readonly resource: string;
}

/** One attempt to make what `key` describes. */
export interface Attempt {
  /** A hash of all inputs, secrets included. */
  readonly key: string;
  readonly id: string;
}

/** A release that was deployed and proven: what it takes to run it again without a build. */
export interface ReleaseRecord {
  readonly commit: string;
  readonly build: Attempt;
  /** What it was built with. */
  readonly made: BuildSettings;
  /** The stack that its images were built for, where that is another one. */
  readonly from?: string;
  /** Service → its image. */
  readonly images: Readonly<Record<string, ImageRecord>>;
  /** What it was built on; absent in the records of earlier versions. */
  readonly bases?: Bases;
  /** Service → the image that holds its dependencies. */
  readonly dependencies?: Readonly<Record<string, HeldDependencies>>;
  /** What was proven of its source: the links `commit`, `dockerfile` and `cache`. */
  readonly source: readonly Verdict[];
  /** What its images were built with. */
  readonly versions: Versions;
  /** When it was proven first, ISO 8601. */
  readonly time: string;
  /** Who deployed it. */
  readonly by: string;
  /** How long that took. */
  readonly seconds: number;
  /** Step → how long it took; absent in the records of earlier versions. */
  readonly steps?: Readonly<Record<string, number>>;
}

/** Base image → its id on the engine that builds. */
export type Bases = Readonly<Record<string, string>>;

/** An image that holds a service's dependencies: the tag tells which, a new id builds it anew. */
export interface HeldDependencies extends Attempt {
  readonly tag: string;
  /** The last build did not find it in the cache: the next one makes it anew. */
  readonly lost?: boolean;
}
