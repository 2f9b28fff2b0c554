import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";

/** A node of a Swarm. */
export interface NodeFacts {
  /** Host name of the node. */
  readonly node: string;
  /** Whether the Swarm reaches the node. */
  readonly isHeard: boolean;
}

/** A wanted task of a Swarm service: a container on one of the nodes. */
export interface TaskFacts extends NodeFacts {
  readonly id: string;
  /** State in the Swarm: `running` once the task is healthy. */
  readonly state: string;
  /** Reference that its node pulled, `address/repository@sha256:…`. */
  readonly image: string;
}

/** Judges a service's tasks. All wanted replicas must run the image, by its digest, on reachable nodes. */
export function replicasVerdict(
  service: string,
  image: string,
  replicas: number,
  tasks: readonly TaskFacts[],
): Verdict | Break {
  const expected = `${replicas} running of ${image}`;
  const good = tasks.filter((task) => task.state === "running" && task.isHeard && task.image === image);
  const nodes = [...new Set(tasks.map(({ node }) => node))].sort();
  const evidence = `tasks on ${nodes.join(", ") || "no node"}`;
  const others = tasks.filter((task) => !good.includes(task)).map(describe);
  const found = [`${good.length} running of ${image}`, ...others].join(", ");
  if (good.length === replicas && others.length === 0)
    return { link: "container", service, status: "proven", expected, found, evidence };
  return broken({
    link: "container",
    service,
    expected,
    found,
    evidence,
    wrong: "the tasks on the nodes are not the deployed ones",
    remedy:
      'See "docker node ls" and "docker service ps" on the manager; when the nodes are ready again, or others have taken over, deploy again with "--refresh".',
  });
}

function describe({ node, state, isHeard, image }: TaskFacts): string {
  return isHeard ? `one ${state} of ${image} on ${node}` : `one on ${node}, which is unreachable`;
}

/**
 * Reports unreachable nodes. Tasks on them are in no list and may run an older release. They do not break the link,
 * because the node may be off. If users reach them, the link `served` breaks.
 */
export function nodesVerdict(nodes: readonly NodeFacts[]): Verdict {
  const evidence = "the Swarm's nodes";
  const of = {
    link: "container",
    service: EVERY_SERVICE,
    expected: "every node is reachable",
    evidence,
  } as const;
  const lost = nodes.filter(({ isHeard }) => !isHeard).map(({ node }) => node);
  if (lost.length === 0) return { ...of, status: "proven", found: of.expected };
  return {
    ...of,
    status: "not checked",
    found: `tasks may still run on ${lost.join(", ")}, which the Swarm does not reach`,
  };
}

/** Judges whether only this service has its host name. A name of two services resolves to both. */
export function sharersVerdict(service: string, host: string, sharers: readonly string[]): Verdict | Break {
  const expected = `host name ${host} of this service alone`;
  const evidence = "the Swarm's services";
  if (sharers.length === 0)
    return { link: "container", service, status: "proven", expected, found: expected, evidence };
  return broken({
    link: "container",
    service,
    expected,
    evidence,
    wrong: "another service has its host name",
    found: `shared with ${sharers.join(", ")}`,
    remedy: "Remove that service (docker service rm), then deploy again.",
  });
}
