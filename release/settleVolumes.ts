import * as pulumi from "@pulumi/pulumi";
import { ConfigError, type DeployConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { dataVolumes } from "../engine/volumes";
import { VOLUME_LABEL } from "../freshness/labels";
import { labelList } from "./labels";
import type { DeployRecord } from "./record";
import { knownVolumes, planVolumes, type VolumePlan } from "./volumePlan";

/**
 * Decides which volumes the stack has. Does not connect to the engine if there are none.
 * @param engine absent in a preview
 * @throws ConfigError if the user must choose
 */
export async function settleVolumes(
  config: Pick<DeployConfig, "services" | "accessories">,
  record: DeployRecord | undefined,
  engine: DockerEngine | undefined,
): Promise<VolumePlan> {
  const stack = pulumi.getStack();
  const services = [...config.services, ...config.accessories];
  const isNone = services.every(({ volumes }) => Object.keys(volumes).length === 0);
  if (isNone && knownVolumes(record).length === 0)
    return { volumes: [], used: {}, gone: [], notes: [], problems: [] };
  const onEngine = engine && (await dataVolumes(engine, stack));
  const plan = planVolumes({ project: pulumi.getProject(), stack, services, record, onEngine });
  if (plan.problems.length > 0) throw new ConfigError(plan.problems);
  for (const { id, name } of plan.gone) {
    // Pulumi would not create the volume, because its state has it. The engine would create it without labels.
    const labels = [...labelList({ stack }), { label: VOLUME_LABEL, value: id }];
    const flags = labels.flatMap(({ label, value }) => ["--label", `${label}=${value}`]);
    if (name !== undefined) await engine?.docker(["volume", "create", ...flags, name]);
  }
  return plan;
}
