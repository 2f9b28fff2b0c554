import * as pulumi from "@pulumi/pulumi";
import { ConfigError, type DeployConfig } from "../config";
import type { DockerEngine } from "../engine/docker";
import type { DeployRecord } from "./lastDeploy";
import { knownVolumes, planVolumes, type VolumePlan } from "./volumePlan";

/**
 * Decides which volumes the stack has. Where it has none the engine is not asked.
 *
 * @param engine absent in a preview
 * @throws ConfigError where a choice is to be made
 */
export async function settleVolumes(
  { services }: Pick<DeployConfig, "services">,
  record: DeployRecord | undefined,
  engine: DockerEngine | undefined,
): Promise<VolumePlan> {
  const stack = pulumi.getStack();
  const isNone = services.every(({ volumes }) => Object.keys(volumes).length === 0);
  if (isNone && knownVolumes(record).length === 0) return { volumes: [], used: {}, notes: [], problems: [] };
  const listed = await engine?.listVolumes(`watch-party.stack=${stack}`);
  const onEngine = listed?.filter(({ labels }) => labels["watch-party.service"] === undefined);
  const plan = planVolumes({ project: pulumi.getProject(), stack, services, record, onEngine });
  if (plan.problems.length > 0) throw new ConfigError(plan.problems);
  return plan;
}
