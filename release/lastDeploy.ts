import { randomBytes } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { hashOf } from "../freshness/hash";
import type { Attempt, DeployRecord } from "./record";
import { readStackState, type StackState } from "./stackState";

/** The stack's outputs from the last successful deploy. */
export interface LastDeploy {
  readonly record?: DeployRecord;
  readonly freshness?: unknown;
  readonly seconds?: unknown;
  readonly pruned?: unknown;
  /** The stack's resources after the last operation; undefined if unknown. */
  readonly state?: StackState;
}

/**
 * Reads the stack's own outputs. A failed deploy intentionally leaves no record: the next deploy finds its key changed
 * and prunes and rebuilds, whatever the failed deploy left in the state.
 */
export async function lastDeploy(): Promise<LastDeploy> {
  // The stack reference is a resource. A file backend writes the state for it, and a concurrent reader can read an
  // incomplete file.
  const state = await readStackState();
  return { ...(await readDeploy("last-deploy", pulumi.getStack())), state };
}

/** Reads the last successful deploy of a stack of this project. */
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

/** Returns the last attempt if its inputs were the same, else a new one. */
export function attempt(inputs: unknown, last: Attempt | undefined): Attempt {
  const key = hashOf(inputs);
  return last?.key === key ? last : { key, id: randomBytes(4).toString("hex") };
}
