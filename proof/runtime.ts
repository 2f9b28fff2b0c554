import type { DockerEngine } from "../engine/docker";
import { EDGE_ALIAS } from "../engine/edgeNames";
import type { ContainerFacts } from "../engine/facts";
import { EngineError, ignoreMissing } from "../engine/problems";
import { type EndedTask, isCrash, readAliases, readEndedTasks, readNodes, readTasks } from "../engine/swarm";
import { startEarly } from "../engine/until";
import type { Break, Verdict } from "../freshness/chain";
import { hasName } from "../freshness/container/alias";
import { endedTasksVerdict, endedVerdict, hasEnded, isOfJob, timesEnded } from "../freshness/container/ended";
import { nodesVerdict, replicasVerdict, sharersVerdict } from "../freshness/container/replicas";
import { keptVerdict } from "../freshness/image/kept";
import { zip } from "../freshness/sure";
import type { DeployedService, Deployment } from "./deployment";
import { createProbe } from "./imageFiles";
import { judgeRunning } from "./judgeRunning";
import { readEndings, readRunning } from "./runningFacts";

/**
 * What differs between containers of one engine and tasks of a Swarm at run time; `runReplicas` and `runService`
 * create them. All other code is shared.
 */
export interface Runtime {
  /** Judges the running services; asks only the engine. */
  proveRunning(engine: DockerEngine, deployment: Release): Promise<Verdict[]>;
  /** Finds instances that ended by themselves. Ignores removed and stopped ones. */
  ended(engine: DockerEngine, deployment: Release): Promise<Break[]>;
  /** Milliseconds since each service started, in the order of the services. */
  ages(engine: DockerEngine, deployment: Release): Promise<number[]>;
  /** Services that do not run as deployed, and the reason. */
  ailing(engine: DockerEngine, deployment: Release): Promise<Ailing[]>;
  /** Hosts of each service's instances, in the order of the services. */
  instances(engine: DockerEngine, deployment: Release): Promise<string[][]>;
  /**
   * Connects the edge to the release's network, and disconnects it from the previous one when that is no longer used.
   */
  enter(engine: DockerEngine, deployment: Release): Promise<void>;
  leave(engine: DockerEngine, last: Release, now: Release): Promise<void>;
  /** Addresses of a release's instances, for draining connections. */
  addresses(engine: DockerEngine, services: readonly DeployedService[]): Promise<string[]>;
  /** The release's containers on this engine, in the order of the services. */
  here(engine: DockerEngine, services: readonly DeployedService[]): Promise<string[][]>;
  /** Provides containers of this engine with the files of the services' images. */
  withFiles<T>(
    engine: DockerEngine,
    services: readonly DeployedService[],
    work: (services: readonly DeployedService[]) => Promise<T>,
  ): Promise<T>;
}

/** A service that does not run as deployed. */
export interface Ailing {
  readonly service: string;
  readonly wrong: string;
  /** Whether the engine lacks its image too. */
  readonly needsBuild: boolean;
}

/** How the current release runs. */
export interface Looked {
  readonly ailing: readonly Ailing[];
  /** Whether the edge was stopped, paused or cut off, and was mended. */
  readonly mended: boolean;
}

/**
 * Finds services of the current release that do not run as deployed, and starts a stopped edge. Other code reports an
 * engine that does not answer.
 */
export async function ailingOf(engine: DockerEngine, deployment: Deployment): Promise<Looked> {
  try {
    const [ailing, [edge]] = await Promise.all([
      runtimeOf(deployment).ailing(engine, deployment),
      engine.inspectContainers([deployment.edge]),
    ]);
    const isAwake = edge === undefined || !(await engine.wake(edge));
    const { cluster, network } = deployment;
    const isCutOff =
      edge?.running && cluster === undefined && !edge.networks.some(({ name }) => name === network);
    if (isCutOff)
      // A network that is gone is reported by its own check.
      await engine
        .docker(["network", "connect", "--alias", EDGE_ALIAS, network, edge.id])
        .catch(ignoreMissing);
    return { ailing, mended: !isAwake || isCutOff === true };
  } catch (cause) {
    if (cause instanceof EngineError) return { ailing: [], mended: true };
    throw cause;
  }
}

type Release = Pick<Deployment, "services" | "edge" | "network" | "followers">;

/** Returns the runtime of a deployment. */
export function runtimeOf({ cluster }: Pick<Deployment, "cluster">): Runtime {
  return cluster === undefined ? containers : tasks;
}

const containers: Runtime = {
  async proveRunning(engine, deployment) {
    const facts = await readRunning(engine, deployment);
    const judged = zip(deployment.services, facts).flatMap(([service, found]) =>
      judgeRunning(service, found),
    );
    // Replicas share their image.
    return judged.filter(
      ({ link, service }, at) =>
        link !== "image" || at === judged.findIndex((each) => each.link === link && each.service === service),
    );
  },
  async ended(engine, { services }) {
    const reading = startEarly(engine.now());
    const found = await engine.inspectContainers(idsOf(services));
    const own = services.map(({ container }) => found.find(({ id }) => id === container));
    const endings = await readEndings(engine, own, reading);
    return services.flatMap(({ service }, at) => {
      const container = own[at];
      const ending = endings[at];
      const isJob = container?.running && isOfJob(service.schedule, container.restarts);
      return container && ending && !isJob ? [endedVerdict(service, container.name, ending)] : [];
    });
  },
  async ages(engine, { services }) {
    const [now, found] = await Promise.all([engine.now(), engine.inspectContainers(idsOf(services))]);
    return services.map(({ container: id }) => {
      const container = found.find((each) => each.id === id);
      return container ? now - Math.max(container.created, container.started) : 0;
    });
  },
  async ailing(engine, { services }) {
    const { containers, images } = await engine.inspect(
      services.flatMap(({ container, image }) => [container, image]),
    );
    return services.flatMap(({ service: { name, schedule }, container: id, image, host }) => {
      const container = containers.find((each) => each.id === id);
      const wrong = ailmentOf(container, image, { host, schedule });
      const needsBuild = !images.some((each) => each.id === image);
      return wrong === undefined ? [] : [{ service: name, wrong, needsBuild }];
    });
  },
  instances: async (_, { services }) => services.map(({ host }) => [host]),
  // The edge's own network is theirs.
  enter: async () => undefined,
  leave: async () => undefined,
  async addresses(engine, services) {
    const found = await engine.inspectContainers(services.map(({ container }) => container));
    return found.flatMap(({ networks }) => networks.map(({ address }) => address));
  },
  here: async (_, services) => services.map(({ container }) => [container]),
  withFiles: (_, services, work) => work(services),
};

const tasks: Runtime = {
  async proveRunning(engine, { services }) {
    const reading = readNodes(engine);
    const [nodes, found, crashed, aliases, { images }] = await Promise.all([
      reading,
      readTasks(engine, idsOf(services), reading),
      readEndedTasks(engine, idsOf(services)).then((ended) => ended.filter(isCrash)),
      readAliases(engine),
      engine.inspect(services.flatMap(({ image, tag }) => [image, ...(tag ? [tag] : [])])),
    ]);
    const judged = services.flatMap(({ service, container, image, tag, host, reference = image }) => {
      const own = found.filter((task) => task.service === container);
      const sharers = (aliases.get(host) ?? []).filter(({ id }) => id !== container);
      return [
        keptVerdict(service.name, image, tag, images),
        replicasVerdict(service.name, reference, service.replicas, own),
        sharersVerdict(
          service.name,
          host,
          sharers.map(({ name }) => name),
        ),
      ];
    });
    return [nodesVerdict(nodes), ...judged, ...(await judgeTasks(engine, services, crashed))];
  },
  ended: async (engine, { services }) =>
    judgeTasks(engine, services, await readEndedTasks(engine, idsOf(services))),
  async ages(engine, { services }) {
    const [now, known] = await Promise.all([engine.now(), engine.readServices(idsOf(services))]);
    return services.map(({ container }) => {
      const created = known.find(({ id }) => id === container)?.created;
      return created === undefined ? 0 : now - created;
    });
  },
  async ailing(engine, { services }) {
    const [known, { images }] = await Promise.all([
      engine.readServices(idsOf(services)),
      engine.inspect(services.map(({ image }) => image)),
    ]);
    return services.flatMap(({ service: { name }, container, image }) => {
      const found = known.find(({ id }) => id === container);
      const needsBuild = !images.some((each) => each.id === image);
      const wrong = found === undefined ? "it is gone" : "it is scaled to 0";
      return found === undefined || found.replicas === 0 ? [{ service: name, wrong, needsBuild }] : [];
    });
  },
  async instances(engine, { services, network }) {
    const found = await readTasks(engine, idsOf(services));
    return services.map(({ container }) =>
      found
        .filter((task) => task.service === container)
        .flatMap(({ addresses }) => addresses.filter((each) => each.network === network))
        .map(({ address }) => address),
    );
  },
  async enter(engine, { edge, network, followers }) {
    const [found] = await engine.inspectContainers([edge]);
    const joined = found?.networks.find(({ name }) => name === network);
    if (joined && (followers === undefined || joined.names.includes(EDGE_ALIAS))) return;
    // Only the edge of a stack deployed before edges had followers lacks a name there.
    if (joined) await engine.docker(["network", "disconnect", network, edge]);
    await engine.docker(["network", "connect", "--alias", EDGE_ALIAS, network, edge]);
  },
  async leave(engine, { network }, { edge }) {
    const [found] = await engine.inspectContainers([edge]);
    if (found?.networks.some(({ name }) => name === network))
      await engine.docker(["network", "disconnect", network, edge]);
  },
  async addresses(engine, services) {
    const found = await readTasks(engine, idsOf(services));
    return found.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  },
  here: (engine, services) =>
    Promise.all(
      services.map(async ({ container }) => {
        const of = ["--filter", `label=com.docker.swarm.service.id=${container}`];
        const ids = (await engine.docker(["container", "ls", "--quiet", "--no-trunc", ...of])).split("\n");
        return ids.filter((id) => id !== "");
      }),
    ),
  // Tasks may run on any node: use containers of the image, by its digest.
  async withFiles(engine, services, work) {
    const probes = await Promise.all(services.map(({ image }) => createProbe(engine, image, [])));
    try {
      return await work(zip(services, probes).map(([service, container]) => ({ ...service, container })));
    } finally {
      await engine.removeTemporary(probes);
    }
  },
};

/** Why a container is not as deployed; undefined if it is. */
function ailmentOf(
  container: ContainerFacts | undefined,
  image: string,
  { host, schedule }: { readonly host: string; readonly schedule?: string },
): string | undefined {
  if (container === undefined) return "it is gone";
  if (container.image !== image) return "it runs another image";
  const isJob = container.running && isOfJob(schedule, container.restarts);
  if (hasEnded(container.restarts) && !isJob) return `it ${timesEnded(container.restarts)}`;
  if (container.paused) return "it was paused";
  if (!container.running) return "it was stopped";
  return hasName(container, host) ? undefined : "it was disconnected from its network";
}

/** Judges services whose tasks ended by themselves. */
async function judgeTasks(
  engine: DockerEngine,
  services: readonly DeployedService[],
  ended: readonly EndedTask[],
): Promise<Break[]> {
  const broken = services.map(async ({ service, container }) => {
    const own = ended.filter((task) => task.service === container);
    const last = own.at(-1);
    if (last === undefined) return [];
    const log = await engine.lastLines("service", container).catch(ignoreMissing);
    return [endedTasksVerdict(service, own.length, { ...last, log: log ?? [] })];
  });
  return (await Promise.all(broken)).flat();
}

function idsOf(services: readonly DeployedService[]): string[] {
  return services.map(({ container }) => container);
}
