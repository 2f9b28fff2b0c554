import type { NodeFacts, TaskFacts } from "../freshness/container/replicas";
import type { PlaceFacts } from "../freshness/served/edges";
import { textBefore } from "../freshness/sure";
import type { DockerEngine } from "./docker";
import { ignoreMissing } from "./problems";

/** A task, with its address in each of its networks. */
export interface SwarmTask extends TaskFacts {
  readonly service: string;
  /** Why it does not run; empty without a message. */
  readonly error: string;
  readonly addresses: readonly { readonly network: string; readonly address: string }[];
}

/** Fields read from `docker inspect --type task`. */
interface TaskInspect {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly Status: { readonly State: string; readonly Err?: string };
  readonly Spec: { readonly ContainerSpec: { readonly Image: string } };
  readonly NetworksAttachments?:
    | readonly {
        readonly Network: { readonly Spec: { readonly Name: string } };
        readonly Addresses?: readonly string[] | null;
      }[]
    | null;
}

/** Fields read from `docker service inspect`. */
interface ServiceInspect {
  readonly ID: string;
  readonly Spec: {
    readonly Name: string;
    readonly TaskTemplate: { readonly Networks?: readonly { readonly Aliases?: readonly string[] }[] };
  };
}

/** A Swarm node, by the ID that tasks use. */
export interface SwarmNode extends NodeFacts {
  readonly id: string;
}

/** Fields read from `docker node inspect`. */
interface NodeInspect {
  readonly ID: string;
  readonly Spec: {
    readonly Role: string;
    readonly Availability: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
  };
  readonly Description: {
    readonly Hostname: string;
    readonly Engine?: { readonly Labels?: Readonly<Record<string, string>> | null };
  };
  readonly Status: { readonly State: string };
}

/** The ID of this engine's node. */
export async function readOwnNode(engine: DockerEngine): Promise<string> {
  return (await engine.docker(["info", "--format", "{{.Swarm.NodeID}}"])).trim();
}

/** Lists the nodes with the values that placement constraints use. */
export async function readPlaces(engine: DockerEngine): Promise<(SwarmNode & PlaceFacts)[]> {
  const ids = (await engine.docker(["node", "ls", "--quiet"])).split("\n").filter((id) => id !== "");
  const found: NodeInspect[] = JSON.parse(await engine.docker(["node", "inspect", ...ids]));
  return found.map(({ ID: id, Spec, Description, Status }) => ({
    id,
    node: Description.Hostname,
    isHeard: Status.State === "ready",
    takesTasks: Spec.Availability === "active",
    role: Spec.Role,
    labels: Spec.Labels ?? {},
    engineLabels: Description.Engine?.Labels ?? {},
  }));
}

export async function readNodes(engine: DockerEngine): Promise<SwarmNode[]> {
  const listed = await engine.docker(["node", "ls", "--format", "{{.ID}} {{.Hostname}} {{.Status}}"]);
  return listed
    .split("\n")
    .map((line) => line.split(" "))
    .map(([id = "", node = "", status]) => ({ id, node, isHeard: status === "Ready" }));
}

/** Reads the wanted tasks of services in three calls; skips missing services. */
export async function readTasks(
  engine: DockerEngine,
  services: readonly string[],
  reading?: Promise<readonly SwarmNode[]> | readonly SwarmNode[],
): Promise<SwarmTask[]> {
  if (services.length === 0) return [];
  const wanted = ["--filter", "desired-state=running", "--no-trunc", "--quiet"];
  const [listed, nodes] = await Promise.all([
    Promise.all(services.map((id) => engine.docker(["service", "ps", ...wanted, id]).catch(ignoreMissing))),
    reading ?? readNodes(engine),
  ]);
  const ids = listed.flatMap((text) => (text ?? "").split("\n")).filter((id) => id !== "");
  if (ids.length === 0) return [];
  const nodeOf = (of: string | undefined) => {
    const { node, isHeard } = nodes.find(({ id }) => id === of) ?? { node: "no node", isHeard: false };
    return { node, isHeard };
  };
  const found: TaskInspect[] = JSON.parse(await engine.docker(["inspect", "--type", "task", ...ids]));
  return found.map((task) => ({
    id: task.ID,
    service: task.ServiceID,
    state: task.Status.State,
    error: task.Status.Err ?? "",
    image: task.Spec.ContainerSpec.Image,
    ...nodeOf(task.NodeID),
    addresses: (task.NetworksAttachments ?? []).flatMap(({ Network, Addresses }) =>
      (Addresses ?? []).map((each) => ({ network: Network.Spec.Name, address: textBefore(each, "/") })),
    ),
  }));
}

/** Host name → the Swarm services that have it as an alias. */
export async function readAliases(
  engine: DockerEngine,
): Promise<Map<string, { id: string; name: string }[]>> {
  const ids = (await engine.docker(["service", "ls", "--quiet"])).split("\n").filter((id) => id !== "");
  const aliases = new Map<string, { id: string; name: string }[]>();
  if (ids.length === 0) return aliases;
  const found: ServiceInspect[] = JSON.parse(await engine.docker(["service", "inspect", ...ids]));
  for (const { ID: id, Spec } of found)
    for (const alias of (Spec.TaskTemplate.Networks ?? []).flatMap(({ Aliases }) => Aliases ?? []))
      aliases.set(alias, [...(aliases.get(alias) ?? []), { id, name: Spec.Name }]);
  return aliases;
}

/** A task whose program ended by itself. */
export interface EndedTask {
  readonly service: string;
  /** Absent if the task got no container. */
  readonly exitCode?: number;
  /** The Swarm's message. */
  readonly error: string;
}

/** Exit codes after SIGTERM and SIGKILL: an engine that stops, or a machine that shuts down, ends programs so. */
const STOPPED_CODES = [0, 137, 143];

/** Whether a task certainly ended by its own fault. The node's engine may have caused the other ends. */
export function isCrash({ exitCode }: EndedTask): boolean {
  return exitCode !== undefined && !STOPPED_CODES.includes(exitCode);
}

/** Tasks of services that ended by themselves. The Swarm remembers the last five of each replica. */
export async function readEndedTasks(
  engine: DockerEngine,
  services: readonly string[],
): Promise<EndedTask[]> {
  const tasks = await engine.listTasks(services);
  return tasks
    .filter(({ Status }) => ["failed", "complete"].includes(Status.State))
    .sort((a, b) => a.Status.Timestamp.localeCompare(b.Status.Timestamp))
    .map(({ ServiceID: service, Status }) => ({
      service,
      exitCode: Status.ContainerStatus?.ExitCode,
      error: Status.Err ?? Status.Message ?? "",
    }));
}
