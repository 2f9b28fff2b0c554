import { SERVICE_LABEL, STACK_LABEL } from "../freshness/labels";
import { stackId } from "../freshness/project";
import type { DockerEngine } from "./docker";

/** The kinds of objects that a deploy creates, in the order of removal: an object comes before what it uses. */
export const KINDS = ["service", "container", "secret", "network"] as const;
const OF_AN_ENGINE: readonly Kind[] = ["container", "network"];
type Kind = (typeof KINDS)[number];

/** An object of a stack on the engine or its Swarm. */
export interface Found {
  readonly kind: Kind;
  readonly id: string;
  readonly name?: string;
  /** Labels of containers and services; empty for others. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether a container runs, or a service has replicas. */
  readonly running: boolean;
  /** Host names of a service. */
  readonly names: readonly string[];
  /** Time of creation by the Swarm's clock, in milliseconds since 1970; services only. */
  readonly created?: number;
}

/** Which objects to list. */
interface Wanted {
  readonly isSwarm: boolean;
  /** Default: all kinds that the engine has. */
  readonly kinds?: readonly Kind[];
  /** Not these IDs. */
  readonly known?: readonly string[];
}

/**
 * Lists the objects of a stack on the engine and its Swarm, by label, stopped containers included. Temporary containers
 * (those of `run`, probes, locks) have an owner and are of no stack.
 */
export async function readInventory(
  engine: DockerEngine,
  stack: string,
  { isSwarm, kinds = KINDS, known = [] }: Wanted,
): Promise<Found[]> {
  const wanted = kinds.filter((kind) => isSwarm || OF_AN_ENGINE.includes(kind));
  const found = (await Promise.all(wanted.map((kind) => list(engine, kind, stackLabel(stack))))).flat();
  return found.filter(({ id }) => !known.includes(id));
}

/** The label of what runs a service, `name=value`; `edge` is the edge. */
export function serviceLabel(service: string): string {
  return `${SERVICE_LABEL}=${service}`;
}

/** The label of a stack's objects, `name=value`. */
export function stackLabel(stack: string): string {
  return `${STACK_LABEL}=${stackId(stack)}`;
}

async function list(engine: DockerEngine, kind: Kind, label: string): Promise<Found[]> {
  if (kind === "container")
    return (await engine.listContainers([label], { all: true })).map((each) => ({
      ...each,
      kind,
      names: [],
    }));
  if (kind === "service")
    return (await engine.listServices(label)).map(({ replicas, ...each }) => ({
      ...each,
      kind,
      running: replicas > 0,
    }));
  const listed = await engine.listLabelled(kind, label);
  return listed.map((each) => ({ ...each, kind, labels: {}, running: false, names: [] }));
}
