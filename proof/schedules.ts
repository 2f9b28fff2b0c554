import type { DockerEngine } from "../engine/docker";
import { ignoreMissing } from "../engine/problems";
import type { Verdict } from "../freshness/chain";
import {
  LAST_FILE,
  parseRuns,
  type ScheduleFacts,
  SERVED_FILE,
  scheduleVerdict,
} from "../freshness/container/schedule";
import type { DeployedService, Deployment } from "./deployment";
import type { ToProve } from "./toProve";

const READ = `cat ${SERVED_FILE} 2> /dev/null; printf '\\0'; cat ${LAST_FILE} 2> /dev/null; true`;

/** The services of a deployment that have a schedule. */
export function scheduledServices({ services }: Pick<Deployment, "services">): DeployedService[] {
  return services.filter(({ service }) => service.schedule !== undefined);
}

/** Reads the state of a schedule in its container, which may be stopped or gone. */
export async function readSchedule(engine: DockerEngine, container: string): Promise<ScheduleFacts> {
  const said = await engine.docker(["exec", container, "sh", "-c", READ]).catch(ignoreStopped);
  const [served = "", last = ""] = said.split("\0");
  return { served: served.trim() === "" ? undefined : served.trim(), runs: parseRuns(last) };
}

/** Another proof reports a container that does not run. */
function ignoreStopped(cause: Error): string {
  if (!/is not running|is restarting|is paused/i.test(cause.message)) ignoreMissing(cause);
  return "";
}

/** Proves that each schedule runs the jobs of the served release. */
export async function proveSchedules({ engine, deployment, memory }: ToProve): Promise<Verdict[]> {
  if (memory === undefined) return [];
  const stack = memory.name;
  const judged = scheduledServices(deployment).map(async ({ service, container }): Promise<Verdict> => {
    const facts = await readSchedule(engine, container);
    const verdict = scheduleVerdict(service, { stack, release: deployment.id }, facts);
    if (verdict.status !== "broken" || !memory.isUnderWay()) return verdict;
    const { link, expected, found, evidence } = verdict;
    return {
      link,
      service: service.name,
      status: "not checked",
      expected,
      found: `${found} (a deploy is under way)`,
      evidence,
    };
  });
  return Promise.all(judged);
}
