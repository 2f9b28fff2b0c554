import { createHash, randomBytes } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { Verdict } from "../freshness/chain";
import type { Deployment } from "../proof/prove";
import type { ReleaseRecord } from "./releases";
import { readStackState, type StackState } from "./stackState";

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

/** What the stack's outputs say of the last deploy that succeeded. */
export interface LastDeploy {
  readonly record?: DeployRecord;
  readonly freshness?: unknown;
  readonly seconds?: unknown;
  readonly pruned?: unknown;
  /** The stack's resources as the last operation left them; undefined where that is not known. */
  readonly state?: StackState;
}

/**
 * Reads the stack's own outputs.
 *
 * A failed deploy leaves no record, and that is the point: the next one finds its key changed, whatever half of the
 * failed one is in the state, and prunes and builds anew.
 */
export async function lastDeploy(): Promise<LastDeploy> {
  // The reference to the stack is a resource: a backend of files writes the state for it, and a reader finds half of that.
  const state = await readStackState();
  return { ...(await readDeploy("last-deploy", pulumi.getStack())), state };
}

/** Reads what a stack of this project says of its last deploy that succeeded. */
export async function readDeploy(resource: string, stack: string): Promise<LastDeploy> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${stack}`;
  const reference = new pulumi.StackReference(resource, { name });
  const [record, freshness, seconds, pruned] = await Promise.all(
    ["record", "freshness", "seconds", "pruned"].map((name) => reference.getOutputDetails(name)),
  );
  return {
    record: record!.secretValue ?? record!.value,
    freshness: freshness!.value,
    seconds: seconds!.value,
    pruned: pruned!.value,
  };
}

/** The last attempt where it made the same, a new one otherwise. */
export function attempt(inputs: unknown, last: Attempt | undefined): Attempt {
  const key = createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
  return last?.key === key ? last : { key, id: randomBytes(4).toString("hex") };
}
