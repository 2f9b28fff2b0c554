import { quote } from "../engine/cli";
import type { DockerEngine } from "../engine/docker";
import type { ContainerFacts } from "../engine/facts";
import { serviceLabel, stackLabel } from "../engine/inventory";
import { ignoreMissing } from "../engine/problems";
import { until } from "../engine/until";
import { startWatchdog, type Watchdog } from "../engine/watchdog";
import { assertUnbroken, broken } from "../freshness/chain";
import { SERVICE_LABEL } from "../freshness/labels";
import { NAMESPACE } from "../freshness/project";
import type { DeployedService, Deployment } from "../proof/deployment";

/** Time limit of a stop. It exceeds the longest stop time that a service can have. */
const STOP_SECONDS = 15 * 60;

/** Which container replaces which, one after the other on the same volumes. */
export interface Turn {
  readonly service: string;
  /** The new container. It is created but not started. */
  readonly next: string;
  /** What runs on its volumes, or for its service, and stops first. */
  readonly stops: readonly string[];
  /** What starts again if the release is refused. */
  readonly back: readonly string[];
}

/** A replacement of containers that has begun. */
export interface Recreation {
  /** Whether a container was started. */
  readonly started: boolean;
  /** What starts again if the release is refused. */
  readonly old: readonly string[];
  /** Leaves the new containers running from now on if this process ends. */
  settle(): void;
  /** Stops the new containers and starts the old ones. */
  takeBack(): Promise<void>;
}

/**
 * Decides which containers replace which. A service whose container already runs has no turn.
 * @param found all containers of the stack
 * @param last the previous deployment, to go back to
 */
export function planTurns(
  deployment: Pick<Deployment, "services" | "edge">,
  last: Pick<Deployment, "services"> | undefined,
  found: readonly (ContainerFacts & { readonly service: string })[],
): Turn[] {
  const own = [deployment.edge, ...deployment.services.map(({ container }) => container)];
  const names = [...deployment.services, ...(last?.services ?? [])].map(({ service }) => service.name);
  const isCommandOf = (name: string, service: string) =>
    service === `${name}-release` && !names.includes(service);
  const before = (last?.services ?? []).map(({ container }) => container);
  const volumesOf = ({ mounts }: ContainerFacts) =>
    mounts.flatMap(({ kind, source }) => (kind === "volume" ? [source] : []));
  return deployment.services.flatMap(({ service: { name, strategy }, container: next }): Turn[] => {
    const made = found.find(({ id }) => id === next);
    if (strategy !== "recreate" || made === undefined || made.running) return [];
    const volumes = volumesOf(made);
    const rivals = found.filter(
      (each) =>
        !own.includes(each.id) &&
        (each.service === name ||
          isCommandOf(name, each.service) ||
          volumesOf(each).some((volume) => volumes.includes(volume))),
    );
    return [
      {
        service: name,
        next,
        stops: rivals.map(({ id }) => id),
        back: rivals.filter(({ id }) => before.includes(id)).map(({ id }) => id),
      },
    ];
  });
}

/**
 * Replaces each service of strategy `recreate`: stops what runs on its volumes, runs its release command, starts its
 * new container.
 * @param before service → its release command, to run between stop and start
 * @throws the error that occurred, after the old containers are started again
 */
export async function recreate(
  engine: DockerEngine,
  stack: string,
  { deployment, last }: { readonly deployment: Deployment; readonly last: Deployment | undefined },
  before: ReadonlyMap<string, () => Promise<void>>,
): Promise<Recreation> {
  if (deployment.services.every(({ service }) => service.strategy !== "recreate")) return NOTHING;
  const listed = await engine.listContainers([stackLabel(stack)], { all: true });
  const services = new Map(listed.map(({ id, labels }) => [id, labels[SERVICE_LABEL] ?? ""]));
  const found = (await engine.inspectContainers([...services.keys()])).map((each) => ({
    ...each,
    service: services.get(each.id) ?? "",
  }));
  const turns = planTurns(deployment, last, found);
  if (turns.length === 0) return NOTHING;

  // If the CLI is killed, this process ends too. The watchdog outlives it and starts what was stopped.
  const watchdog = startWatchdog(engine, rescue(turns));
  const settle = () => watchdog.callOff();
  const takeBack = async () => {
    await Promise.all(turns.map(({ next }) => stop(engine, next)));
    await Promise.all(turns.flatMap(({ back }) => back.map((id) => start(engine, id))));
    settle();
  };
  try {
    await Promise.all(
      turns.map(async ({ service, next, stops }) => {
        await Promise.all(stops.map((id) => stop(engine, id)));
        await before.get(service)?.();
        await start(engine, next);
        const of = deployment.services.find(({ container }) => container === next);
        if (of && of.service.port === undefined) await becomeHealthy(engine, of);
      }),
    );
  } catch (cause) {
    await takeBack();
    throw cause;
  }
  return { started: true, old: turns.flatMap(({ back }) => back), settle, takeBack };
}

const NOTHING: Recreation = {
  started: false,
  old: [],
  settle: () => undefined,
  takeBack: async () => undefined,
};

/** Stops a container permanently. Its restart policy would otherwise start it again with the engine. */
export async function stop(engine: DockerEngine, id: string): Promise<void> {
  await engine.docker(["container", "update", "--restart", "no", id]).catch(ignoreMissing);
  await engine.docker(["container", "stop", id], { timeoutSeconds: STOP_SECONDS }).catch(ignoreMissing);
}

export async function start(engine: DockerEngine, id: string): Promise<void> {
  await engine.docker(["container", "update", "--restart", "always", id]);
  await engine.docker(["container", "start", id]);
}

/** Waits for the image's own health check, if it has one. A service with a port is checked over HTTP instead. */
async function becomeHealthy(engine: DockerEngine, { service, container }: DeployedService): Promise<void> {
  const ask = async () => (await engine.inspectContainers([container]))[0];
  const deadline = Date.now() + service.startSeconds * 1000;
  const found = await until(deadline, ask, (it) => it?.health === undefined || it.health === "healthy");
  if (found?.health === undefined || found.health === "healthy") return;
  assertUnbroken([
    broken({
      link: "container",
      service: service.name,
      wrong: "the new container does not become healthy",
      expected: `healthy within ${service.startSeconds} s`,
      found: `${found.health}, by the health check of its image`,
      evidence: `docker inspect ${found.name}: State.Health`,
      remedy: `See its log (docker logs ${found.name}), then deploy again; if it is only slow, raise ${NAMESPACE}:services.${service.name}.startSeconds.`,
    }),
  ]);
}

/**
 * Stops and restarts services on a Swarm, where tasks start as soon as their service is created. The running tasks of a
 * service of strategy `recreate` therefore stop before the new service is created.
 */
export class SwarmPauses implements Recreation {
  private readonly paused = new Map<string, string[]>();
  private readonly watchdogs: Watchdog[] = [];

  /** @param last the previous deployment, to go back to */
  constructor(
    private readonly engine: DockerEngine,
    private readonly stack: string,
    private readonly last: Deployment | undefined,
  ) {}

  get started(): boolean {
    return this.paused.size > 0;
  }

  get old(): string[] {
    return [...this.back().keys()];
  }

  /**
   * Stops all tasks of a service of the stack, and waits until they have ended.
   * @param changes whether this deploy replaces the service; after a refused or killed deploy, its tasks stop in any
   * case
   */
  async pause(service: string, changes: boolean): Promise<void> {
    const ids = await this.servicesOf(service);
    const before = (this.last?.services ?? []).map(({ container }) => container.slice(0, 12));
    if (!changes && ids.every((id) => before.includes(id.slice(0, 12)))) return;
    this.paused.set(service, ids);
    this.watchdogs.push(startWatchdog(this.engine, this.rescue(service)));
    await scale(this.engine, new Map(ids.map((id) => [id, 0])));
    // Their volumes are on this node, so the tasks are too.
    const ended = async () => (await Promise.all(ids.map((id) => this.tasksOf(id)))).flat();
    await until(Date.now() + STOP_SECONDS * 1000, ended, (tasks) => tasks.length === 0);
  }

  settle(): void {
    for (const watchdog of this.watchdogs) watchdog.callOff();
  }

  async takeBack(): Promise<void> {
    const all = (
      await Promise.all([...this.paused.keys()].map((service) => this.servicesOf(service)))
    ).flat();
    const back = this.back();
    const isOld = (id: string) => this.old.some((container) => container.startsWith(id));
    await scale(this.engine, new Map(all.filter((id) => !isOld(id)).map((id) => [id, 0])));
    await scale(this.engine, back);
    this.settle();
  }

  /** The services to start again, with their number of tasks. */
  private back(): Map<string, number> {
    const paused = [...this.paused.values()].flat();
    const before = this.last?.services ?? [];
    return new Map(
      before
        .filter(({ container }) => paused.some((id) => container.startsWith(id)))
        .map(({ container, service }) => [container, service.replicas]),
    );
  }

  /** The whole IDs: the label of a task's container has no other, and `docker service ls` prints twelve digits. */
  private async servicesOf(service: string): Promise<string[]> {
    const ids = lines(await this.engine.docker(["service", "ls", "--quiet", ...this.labels(service)]));
    if (ids.length === 0) return [];
    return lines(await this.engine.docker(["service", "inspect", "--format", "{{.ID}}", ...ids]));
  }

  private async tasksOf(id: string): Promise<string[]> {
    const filter = `label=com.docker.swarm.service.id=${id}`;
    return lines(await this.engine.docker(["container", "ls", "--quiet", "--filter", filter]));
  }

  private labels(service: string): string[] {
    const labels = [stackLabel(this.stack), serviceLabel(service)];
    return labels.flatMap((label) => ["--filter", `label=${label}`]);
  }

  /** If a new service fails to start, this process ends. The script does the same as `takeBack`. */
  private rescue(service: string): string {
    const back = [...this.back()].filter(([id]) =>
      this.paused.get(service)?.some((short) => id.startsWith(short)),
    );
    const old = back.map(([id]) => id.slice(0, 12)).join(" ");
    const list = `docker service ls --quiet ${this.labels(service).map(quote).join(" ")}`;
    return [
      `for each in $(${list}); do case " ${old} " in *" $each "*) ;; *) docker service scale --detach "$each=0";; esac; done`,
      ...back.map(([id, replicas]) => `docker service scale --detach ${id}=${replicas}`),
    ].join("\n");
  }
}

async function scale(engine: DockerEngine, services: ReadonlyMap<string, number>): Promise<void> {
  const scales = [...services].map(([id, replicas]) => `${id}=${replicas}`);
  if (scales.length > 0) await engine.docker(["service", "scale", "--detach", ...scales]);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** Returns a script that does the same as `takeBack`. */
export function rescue(turns: readonly Pick<Turn, "next" | "back">[]): string {
  const next = turns.map((turn) => quote(turn.next)).join(" ");
  const back = turns.flatMap((turn) => turn.back.map(quote)).join(" ");
  return [
    `docker container update --restart no ${next}; docker container stop ${next}`,
    ...(back === ""
      ? []
      : [`docker container update --restart always ${back}; docker container start ${back}`]),
  ].join("\n");
}
