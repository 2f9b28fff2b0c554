import type { DockerEngine } from "../engine/docker";
import { type Expected, type Labelled, type Stray, straysOf } from "../freshness/container/strays";
import type { Deployment } from "../proof/deployment";

/** Something of a stack that runs in addition to the serving release. */
export interface FoundStray extends Stray {
  readonly id: string;
  readonly kind: "container" | "service";
  /** When it was created, by the engine's clock, in milliseconds since 1970. */
  readonly created: number;
}

/** IDs of a deployment's containers or services, and of its edges. */
export function idsOf(deployments: readonly (Deployment | undefined)[]): string[] {
  return deployments.flatMap((of) =>
    of ? [of.edge, of.followers?.service ?? [], of.services.map(({ container }) => container)].flat() : [],
  );
}

/** What a stack is known to consist of. */
export interface KnownOfStack extends Pick<Expected, "known"> {
  readonly isSwarm: boolean;
  /** Reads which release the edge routes to. Called only if something unknown runs. */
  readonly readLed: () => Promise<string | undefined>;
}

/** Lists, by its labels, what runs of a stack but does not belong to a serving release. */
export async function readStrays(
  engine: DockerEngine,
  stack: string,
  { isSwarm, known, readLed }: KnownOfStack,
): Promise<FoundStray[]> {
  const label = `watch-party.stack=${stack}`;
  const [containers, services] = await Promise.all([
    engine.listContainers([label]),
    isSwarm ? engine.listServices(label) : [],
  ]);
  const suspects = straysOf(
    containers.map((each): Labelled => ({ ...each, names: [] })),
    { known },
  );
  const unknown = straysOf(services, { known });
  if (suspects.length === 0 && unknown.length === 0) return [];
  const led = await readLed();
  const found = await engine.inspectContainers(suspects.map(({ id }) => id));
  const running = found
    .filter(({ running, restarts }) => running || restarts.restarting)
    .map(({ id, name, created, networks }) => ({
      id,
      kind: "container" as const,
      name,
      created,
      stop: `docker update --restart=no ${name} && docker stop ${name}`,
      names: networks.flatMap(({ names }) => names),
      labels: suspects.find((each) => each.id === id)?.labels ?? {},
    }));
  const scaled = unknown
    .filter(({ replicas }) => replicas > 0)
    .map((each) => ({ ...each, kind: "service" as const, stop: `docker service scale ${each.name}=0` }));
  return straysOf([...running, ...scaled], { known, led }).map(({ names: _, labels, ...stray }) => ({
    ...stray,
    service: labels["watch-party.service"] ?? "",
  }));
}

/** Stops these permanently, in parallel. The engine does not start them again, and their logs stay. */
export async function stopStrays(engine: DockerEngine, strays: readonly FoundStray[]): Promise<void> {
  await Promise.all(
    strays.map(({ kind, id }) =>
      kind === "container"
        ? engine.stopForGood(id)
        : engine.docker(["service", "update", "--detach", "--quiet", "--replicas", "0", id]),
    ),
  );
}
