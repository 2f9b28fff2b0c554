import type { DeployConfig } from "../config/types";
import { NAMESPACE } from "../freshness/project";
import { operateRefreshing } from "./operateRefreshing";
import { stackName } from "./project";

/** Deploys a front, which serves no commit of its own: the proofs are those of the stacks behind it. One that was stopped is started. */
export async function upFront(
  stack: string,
  args: readonly string[],
  { front, listen }: DeployConfig,
): Promise<number> {
  const { status, errors } = await operateRefreshing(stack, ["up", ...args]);
  process.stderr.write(errors.map((error) => `error: ${error}\n`).join(""));
  if (status !== 0) return status;
  const at = front === "https" ? "ports 80 and 443" : `${listen.address}:${listen.port}`;
  process.stdout.write(
    `\nfront ${stackName(stack)} answers on ${at}; a stack gets the requests for its names with ${NAMESPACE}:behind: ${stackName(stack)}\n`,
  );
  return 0;
}
