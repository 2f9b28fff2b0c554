import type { DeployConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { startEarly } from "../engine/until";
import { withoutReplicas } from "../proof/deployment";
import { runtimeOf } from "../proof/runtime";
import type { DeployRecord } from "../release/record";
import { stackName, UsageError } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";

/** A stack that was deployed, and the engine that runs it. */
export interface OpenStack {
  readonly stack: string;
  readonly config: DeployConfig;
  readonly record: DeployRecord;
  readonly engine: DockerEngine;
}

/** Reads what is known of a stack and logs in to its engine meanwhile, on this machine or over ssh. */
export async function enterStack(stack: string): Promise<OpenStack> {
  const reading = startEarly(readRecord(stack));
  const config = await readSecretConfig(stack);
  const entering = startEarly(reachEngine(config));
  const record = await reading;
  return { stack: stackName(stack), config, record, engine: await entering };
}

/** Reads what is known of a stack and reaches its engine. @throws EngineError if that does not answer */
export async function openStack(stack: string): Promise<OpenStack> {
  const open = await enterStack(stack);
  await open.engine.assertReachable();
  return open;
}

/** The names that a command may be given. */
export function namesOf({ record: { deployment } }: Pick<OpenStack, "record">): string[] {
  const accessories = deployment.accessories ?? [];
  const services = withoutReplicas(deployment.services).map(({ service }) => service.name);
  return [...services, ...accessories.map(({ name }) => name)];
}

/** @throws UsageError where the stack has nothing of that name */
export function assertNamed(of: Pick<OpenStack, "record" | "stack">, name: string): void {
  const names = namesOf(of);
  if (!names.includes(name))
    throw new UsageError(`stack ${of.stack} has no service "${name}"; allowed: ${names.join(", ")}`);
}

/**
 * The container of the served release that a name means.
 *
 * @throws UsageError where the stack has nothing of that name; Error without a container on this engine
 */
export async function containerOf(open: OpenStack, name: string): Promise<string> {
  assertNamed(open, name);
  const { engine, record, stack } = open;
  const { deployment } = record;
  const accessory = deployment.accessories?.find((each) => each.name === name);
  if (accessory) return accessory.container;
  const own = deployment.services.filter(({ service }) => service.name === name);
  const [[id] = []] = await runtimeOf(deployment).here(engine, own);
  if (id !== undefined) return id;
  throw new Error(`no container of ${name} of stack ${stack} runs on this engine`);
}
