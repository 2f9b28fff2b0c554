import { commandLine, NAMESPACE } from "../freshness/project";
import { type BackupPlan, backupPlans, dataContainer } from "../release/backup";
import type { OpenStack } from "./openStack";
import { UsageError } from "./project";

/**
 * What a stack backs up, or the one of that name.
 *
 * @throws UsageError without one
 */
export function assertBackedUp(
  { config, stack }: Pick<OpenStack, "config" | "stack">,
  name?: string,
): [BackupPlan, ...BackupPlan[]] {
  const plans = backupPlans(config);
  const [first, ...others] = plans.filter((plan) => name === undefined || plan.name === name);
  if (first !== undefined) return [first, ...others];
  const all = plans.map((plan) => plan.name).join(", ");
  throw new UsageError(
    all === ""
      ? `stack ${stack} backs up nothing; set ${NAMESPACE}:accessories.NAME.backup, or that of a service`
      : `stack ${stack} has no backup of "${name}"; allowed: ${all}`,
  );
}

/** Where the data is, for a backup or a restore. */
export function withData({ record, stack }: Pick<OpenStack, "record" | "stack">, { name }: BackupPlan) {
  const { deployment } = record;
  const container = dataContainer(deployment, name);
  if (container === undefined)
    throw new Error(`${name} has not been deployed; run "${commandLine(`up --stack ${stack}`)}"`);
  return { stack, container, commit: deployment.commit };
}
