import execa from "execa";
import { ownKeys, parseConfig } from "../config";
import { givenByEnvironment, variablesOf } from "../config/environmentKeys";
import type { DeployConfig } from "../config/types";
import type { Certificate } from "../freshness/chain";
import { commandLine } from "../freshness/project";
import type { DeployRecord } from "../release/record";
import { notDeployed } from "../release/releases";
import { PROJECT, stackName } from "./project";

/** A stack's configuration with its secrets, such as the server's key. */
export async function readSecretConfig(stack: string): Promise<DeployConfig> {
  const values = await pulumiJson<Record<string, { value?: string }>>(
    ...["config", "--json", "--show-secrets", "--stack", stack],
  );
  const own = Object.entries(ownKeys(values));
  const plain = Object.fromEntries(own.map(([key, { value }]) => [key, value]));
  const name = stackName(stack);
  return parseConfig({ ...plain, ...givenByEnvironment(name) }, PROJECT, variablesOf(PROJECT, name));
}

/** The stack outputs of a successful deploy. */
export interface Outputs {
  readonly record: DeployRecord;
  readonly freshness: Certificate;
  readonly seconds: Readonly<Record<string, number>>;
  /** Set by a front, which has no other outputs. */
  readonly front?: string;
}

class NotDeployedError extends Error {
  override readonly name = "NotDeployedError";
}

/** The record of the last successful deploy. */
export async function readRecord(stack: string): Promise<DeployRecord> {
  return (await readOutputs(stack)).record;
}

/** The outputs of the last successful deploy. */
export async function readOutputs(stack: string): Promise<Outputs> {
  const outputs = await pulumiJson<Partial<Outputs>>(
    ...["stack", "output", "--json", "--show-secrets", "--stack", stack],
  );
  const { record, front } = outputs;
  if (front !== undefined)
    throw new Error(`stack ${stack} is a front and serves no commit; name a stack behind it`);
  if (!record?.deployment) throw new NotDeployedError(notDeployed(stack));
  if (Array.isArray(record.deployment.services) && Array.isArray(record.releases) && record.current?.images)
    return outputs as Outputs;
  throw new Error(
    `the state of stack ${stack} has a record that this program cannot read; run "${commandLine("up")}" for a new one`,
  );
}

/** Like `readRecord`, but undefined before the first deploy; a state that cannot be read is an error. */
export async function readRecordIfAny(stack: string): Promise<DeployRecord | undefined> {
  try {
    return await readRecord(stack);
  } catch (cause) {
    if (cause instanceof NotDeployedError || /no stack named/.test((cause as Error).message))
      return undefined;
    throw cause;
  }
}

async function pulumiJson<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, failed } = await execa("pulumi", args, { cwd: PROJECT, reject: false });
  if (failed) throw new Error(stderr.replace(/^error: /, "").trim());
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`pulumi ${args.slice(0, 2).join(" ")} did not print JSON, but "${stdout.slice(0, 80)}"`);
  }
}
