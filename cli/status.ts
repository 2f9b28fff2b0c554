import type { DockerEngine } from "../engine/docker";
import { isMaintenance, readEdge } from "../engine/edgeFiles";
import type { ContainerFacts } from "../engine/facts";
import { readLock } from "../engine/stackLock";
import { type JobRun, runsText } from "../freshness/container/schedule";
import { type DeployedService, withoutReplicas } from "../proof/deployment";
import { runtimeOf } from "../proof/runtime";
import { readSchedule, scheduledServices } from "../proof/schedules";
import { shortIdentity } from "../source/checkout";
import { ProjectCommand } from "./command";
import { type OpenStack, openStack } from "./openStack";
import { run } from "./project";
import { columns } from "./table";

const command = new ProjectCommand("status")
  .alias("ps")
  .description(
    "Lists what runs of a stack: services with release, commit, health, uptime, restarts and replicas; whether deploys are locked, and whether the edge answers 503. It proves nothing: `verify` does.",
  )
  .ofStack()
  .json();

/** One service, or the edge, as `--json` prints it. */
interface Row {
  readonly service: string;
  /** Absent for what is of no release. */
  readonly release?: string;
  readonly commit?: string;
  readonly state: "running" | "restarting" | "stopped" | "gone";
  /** What its own check says; absent where it has none. */
  readonly health?: string;
  readonly uptimeSeconds: number;
  /** How often it was started again after it had ended by itself. */
  readonly restarts: number;
  readonly replicas: { readonly running: number; readonly wanted: number };
  readonly containers: readonly string[];
  /** Of a service with a schedule. */
  readonly schedule?: ScheduleRow;
}

/** A schedule, as `--json` prints it. */
interface ScheduleRow {
  readonly schedule: string;
  readonly timeZone: string;
  /** Whether the jobs are those of the served release. */
  readonly served: boolean;
  /** The last run that ended. A run of an earlier release has that release's ID. Absent without one. */
  readonly lastRun?: JobRun;
  /** The run that is under way; absent without one. */
  readonly running?: JobRun;
}

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const open = await openStack(stack);
  const { engine, record } = open;
  const { deployment } = record;
  const [rows, lock, maintenance] = await Promise.all([
    readRows(open),
    readLock(engine, deployment.edge),
    readEdge(engine, deployment.edge).then(
      ({ state }) => state !== undefined && isMaintenance(state.caddyfile),
      () => false,
    ),
  ]);
  const { url, commit, id: release } = deployment;
  if (json) {
    const all = { stack: open.stack, url, commit, release, maintenance, lock: lock ?? null, services: rows };
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
    return 0;
  }
  process.stdout.write(`${url} ${maintenance ? "answers 503 (maintenance)" : `serves ${commit}`}\n`);
  if (lock) process.stdout.write(`locked by ${lock.by} since ${lock.since}: ${lock.message}\n`);
  process.stdout.write(`${columns([HEAD, ...rows.map(cells)])}\n`);
  for (const { service, schedule } of rows)
    if (schedule !== undefined)
      process.stdout.write(
        `schedule of ${service}: ${schedule.schedule} (${schedule.timeZone}), last run: ${runsText({ last: schedule.lastRun, running: schedule.running })}${schedule.served ? "" : "; it is not of the served release, run verify"}\n`,
      );
  return 0;
});

async function readRows({ engine, record: { deployment } }: OpenStack): Promise<Row[]> {
  const { services, accessories = [], edge, id: release, commit } = deployment;
  const here = await runtimeOf(deployment).here(engine, services);
  const [now, found] = await Promise.all([
    engine.now(),
    engine.inspectContainers([...here.flat(), ...accessories.map(({ container }) => container), edge]),
  ]);
  const of = (ids: readonly string[]) => found.filter(({ id }) => ids.includes(id));
  const schedules = new Map(
    await Promise.all(
      scheduledServices(deployment).map(async (each) => {
        return [each.service.name, await scheduleRow(engine, each, release)] as const;
      }),
    ),
  );
  return [
    ...withoutReplicas(services).map(({ service: { name, replicas } }) => {
      const own = here.filter((_, at) => services[at]?.service.name === name).flat();
      const row = { service: name, release, commit, ...summary(of(own), replicas, now) };
      const schedule = schedules.get(name);
      return schedule === undefined ? row : { ...row, schedule };
    }),
    ...accessories.map(({ name, container }) => ({ service: name, ...summary(of([container]), 1, now) })),
    { service: "edge", ...summary(of([edge]), 1, now) },
  ];
}

async function scheduleRow(
  engine: DockerEngine,
  { service: { schedule = "", timeZone = "UTC" }, container }: DeployedService,
  release: string,
): Promise<ScheduleRow> {
  const { served, runs } = await readSchedule(engine, container);
  return { schedule, timeZone, served: served === release, lastRun: runs.last, running: runs.running };
}

/** What a service's containers are like together: the worst of them counts. */
function summary(
  found: readonly ContainerFacts[],
  wanted: number,
  now: number,
): Omit<Row, "service" | "release" | "commit"> {
  const running = found.filter((each) => each.running);
  const healths = found.flatMap(({ health }) => health ?? []);
  const health = healths.find((each) => each !== "healthy") ?? healths[0];
  const state =
    found.length === 0
      ? "gone"
      : found.some(({ restarts }) => restarts.restarting)
        ? "restarting"
        : running.length < found.length
          ? "stopped"
          : "running";
  const ages = running.map(({ started }) => now - started);
  return {
    state,
    ...(health === undefined ? {} : { health }),
    uptimeSeconds: ages.length === 0 ? 0 : Math.max(0, Math.round(Math.min(...ages) / 1000)),
    restarts: found.reduce((sum, { restarts }) => sum + restarts.times, 0),
    replicas: { running: running.length, wanted },
    containers: found.map(({ name }) => name),
  };
}

const HEAD = ["SERVICE", "RELEASE", "COMMIT", "STATE", "HEALTH", "UPTIME", "RESTARTS", "REPLICAS"];

function cells({
  service,
  release,
  commit,
  state,
  health,
  uptimeSeconds,
  restarts,
  replicas,
}: Row): string[] {
  return [
    service,
    release ?? "-",
    commit === undefined ? "-" : shortIdentity(commit),
    state,
    health ?? "-",
    uptime(uptimeSeconds),
    String(restarts),
    `${replicas.running}/${replicas.wanted}`,
  ];
}

function uptime(seconds: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ] as const;
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.floor(seconds / size)}${unit}`;
}
