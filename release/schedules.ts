import type { DockerEngine } from "../engine/docker";
import type { Verdict } from "../freshness/chain";
import { LAST_FILE, SERVED_FILE, scheduleVerdict } from "../freshness/container/schedule";
import type { Deployment } from "../proof/deployment";
import { readSchedule, scheduledServices } from "../proof/schedules";
import { stop } from "./recreate";

/** Names the release whose jobs run. A job writes about its last run as any user. */
const OPEN = `umask 022; [ -e ${LAST_FILE} ] || : > ${LAST_FILE}; chmod 666 ${LAST_FILE}
printf '%s\\n' "$1" > ${SERVED_FILE}.new && mv ${SERVED_FILE}.new ${SERVED_FILE}`;

/**
 * Gives the schedules to a release that is served and proven. The jobs of the previous one stop first, so that no two
 * run at once.
 * @returns the verdict on each schedule
 */
export async function openSchedules(
  engine: DockerEngine,
  stack: string,
  { deployment, last }: { readonly deployment: Deployment; readonly last: Deployment | undefined },
): Promise<Verdict[]> {
  const now = scheduledServices(deployment);
  const own = now.map(({ container }) => container);
  const old = (last ? scheduledServices(last) : []).filter(({ container }) => !own.includes(container));
  await Promise.all(old.map(({ container }) => stop(engine, container)));
  const release = deployment.id;
  return Promise.all(
    now.map(async ({ service, container }) => {
      await engine.docker(["exec", "--user", "0", container, "sh", "-c", OPEN, "sh", release]);
      return scheduleVerdict(service, { stack, release }, await readSchedule(engine, container));
    }),
  );
}
