import { spawn } from "node:child_process";
import { type ContainerFacts, type DockerEngine, quote } from "./docker";
import { ignoreMissing } from "./problems";
import type { Deployment } from "./prove";

/** A stop may take as long as the service's own time for it. */
const STOP_SECONDS = 15 * 60;

/** What takes the place of what, on the same volumes, one after the other. */
export interface Turn {
  readonly service: string;
  /** The container that is made and does not run yet. */
  readonly next: string;
  /** What runs on its volumes, or of its service, and ends first. */
  readonly stops: readonly string[];
  /** What is started again where the release is refused. */
  readonly back: readonly string[];
}

/** A change of containers that has begun. */
export interface Recreation {
  /** Whether a container was started. */
  readonly started: boolean;
  /** From here on a process that ends leaves the new containers running. */
  settle(): void;
  /** Stops the new containers and starts the old ones. */
  takeBack(): Promise<void>;
}

/**
 * Which containers give way to which. A service whose container runs already has no turn.
 *
 * @param found all containers of the stack
 * @param last the deployment before: the one to go back to
 */
export function planTurns(
  deployment: Pick<Deployment, "services">,
  last: Pick<Deployment, "services"> | undefined,
  found: readonly (ContainerFacts & { readonly service: string })[],
): Turn[] {
  const own = deployment.services.map(({ container }) => container);
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
          each.service === `${name}-release` ||
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
 * Gives each service of strategy `recreate` its turn: what runs on its volumes stops, its release command runs, its new
 * container starts.
 *
 * @param before what to run between: service → its release command
 * @throws what failed, with the old containers started again
 */
export async function recreate(
  engine: DockerEngine,
  stack: string,
  { deployment, last }: { readonly deployment: Deployment; readonly last: Deployment | undefined },
  before: ReadonlyMap<string, () => Promise<void>>,
): Promise<Recreation> {
  if (deployment.services.every(({ service }) => service.strategy !== "recreate")) return NOTHING;
  const listed = await engine.listContainers([`watch-party.stack=${stack}`], { all: true });
  const services = new Map(listed.map(({ id, labels }) => [id, labels["watch-party.service"] ?? ""]));
  const found = (await engine.inspectContainers([...services.keys()])).map((each) => ({
    ...each,
    service: services.get(each.id) ?? "",
  }));
  const turns = planTurns(deployment, last, found);
  if (turns.length === 0) return NOTHING;

  // A CLI that is killed takes this process with it: what was stopped is started by one that outlives it.
  const onExit = () => rescue(engine, turns);
  process.once("exit", onExit);
  const settle = () => void process.removeListener("exit", onExit);
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
      }),
    );
  } catch (cause) {
    await takeBack();
    throw cause;
  }
  return { started: true, settle, takeBack };
}

const NOTHING: Recreation = {
  started: false,
  settle: () => undefined,
  takeBack: async () => undefined,
};

/** Stops a container for good: with its restart policy it would come back with the engine. */
async function stop(engine: DockerEngine, id: string): Promise<void> {
  await engine.docker(["container", "update", "--restart", "no", id]).catch(ignoreMissing);
  await engine.docker(["container", "stop", id], { timeoutSeconds: STOP_SECONDS }).catch(ignoreMissing);
}

async function start(engine: DockerEngine, id: string): Promise<void> {
  await engine.docker(["container", "update", "--restart", "always", id]);
  await engine.docker(["container", "start", id]);
}

/** Does what `takeBack` does, in a process of its own. */
function rescue(engine: DockerEngine, turns: readonly Turn[]): void {
  const next = turns.map((turn) => quote(turn.next)).join(" ");
  const back = turns.flatMap((turn) => turn.back.map(quote)).join(" ");
  const script = [
    `docker container update --restart no ${next}; docker container stop ${next}`,
    ...(back === ""
      ? []
      : [`docker container update --restart always ${back}; docker container start ${back}`]),
  ];
  const [file, args] = engine.scriptLine(script.join("\n"));
  spawn(file, args, { detached: true, stdio: "ignore" }).unref();
}
