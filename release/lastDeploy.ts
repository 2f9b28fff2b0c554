import { createHash, randomBytes } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { Attempt, DeployRecord } from "./record";
import { readStackState, type StackState } from "./stackState";

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
  const [record, freshness, seconds, pruned] = await Promise.all([
    reference.getOutputDetails("record"),
    reference.getOutputDetails("freshness"),
    reference.getOutputDetails("seconds"),
    reference.getOutputDetails("pruned"),
  ]);
  return {
    record: record.secretValue ?? record.value,
    freshness: freshness.value,
    seconds: seconds.value,
    pruned: pruned.value,
  };
}

/** The last attempt where it made the same, a new one otherwise. */
export function attempt(inputs: unknown, last: Attempt | undefined): Attempt {
  const key = createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
  return last?.key === key ? last : { key, id: randomBytes(4).toString("hex") };
}
