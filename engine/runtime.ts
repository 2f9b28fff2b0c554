import type { Verdict } from "../freshness/chain";
import { nodesVerdict, replicasVerdict, sharersVerdict } from "../freshness/container/replicas";
import { keptVerdict } from "../freshness/image/kept";
import { EDGE_ALIAS } from "./caddy";
import type { DockerEngine } from "./docker";
import { createProbe } from "./imageFiles";
import { type DeployedService, type Deployment, judgeRunning } from "./prove";
import { readRunning } from "./runningFacts";
import { readAliases, readNodes, readTasks } from "./swarm";

/**
 * What differs between containers of one engine and the tasks of a Swarm, once they run; `runContainer` and `runService`
 * of the components are what differs before. All else is the same code for both.
 */
export interface Runtime {
  /** Judges what runs, by the engine alone. */
  proveRunning(engine: DockerEngine, deployment: Release): Promise<Verdict[]>;
  /** The hosts at which the edge reaches each instance of a service, in the order of the services. */
  instances(engine: DockerEngine, deployment: Release): Promise<string[][]>;
  /** Leads the edge into the network of the release, and out of that of the one before once it has gone. */
  enter(engine: DockerEngine, deployment: Release): Promise<void>;
  leave(engine: DockerEngine, last: Release, now: Release): Promise<void>;
  /** The addresses of a release's instances, for those whose connections are waited for. */
  addresses(engine: DockerEngine, services: readonly DeployedService[]): Promise<string[]>;
  /** The containers of a release's services that run on this engine, in the order of the services. */
  here(engine: DockerEngine, services: readonly DeployedService[]): Promise<string[][]>;
  /** Hands out containers of this engine that have the files of the services' images. */
  withFiles<T>(
    engine: DockerEngine,
    services: readonly DeployedService[],
    work: (services: readonly DeployedService[]) => Promise<T>,
  ): Promise<T>;
}

type Release = Pick<Deployment, "services" | "edge" | "network" | "followers">;

/** What runs a deployment. */
export function runtimeOf({ cluster }: Pick<Deployment, "cluster">): Runtime {
  return cluster === undefined ? containers : tasks;
}

const containers: Runtime = {
  async proveRunning(engine, deployment) {
    const facts = await readRunning(engine, deployment);
    return deployment.services.flatMap((service, at) => judgeRunning(service, facts[at]!));
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
    const [nodes, found, aliases, { images }] = await Promise.all([
      reading,
      readTasks(engine, idsOf(services), reading),
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
    return [nodesVerdict(nodes), ...judged];
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
    // Only the edge of a stack that was deployed before edges followed it has no name there.
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
  // The tasks are on any node: what they have is the image's, by its digest.
  async withFiles(engine, services, work) {
    const probes = await Promise.all(services.map(({ image }) => createProbe(engine, image, [])));
    try {
      return await work(services.map((service, at) => ({ ...service, container: probes[at]! })));
    } finally {
      await engine.removeTemporary(probes);
    }
  },
};

function idsOf(services: readonly DeployedService[]): string[] {
  return services.map(({ container }) => container);
}
