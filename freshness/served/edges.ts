import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";
import type { NodeFacts } from "../container/replicas";

/** What a Swarm uses to place tasks. */
export interface PlaceFacts extends NodeFacts {
  readonly id: string;
  /** Whether it accepts tasks: it is neither paused nor drained. */
  readonly takesTasks: boolean;
  readonly role: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly engineLabels: Readonly<Record<string, string>>;
}

/** A constraint that `fits` supports: an attribute of a node, an operator and a value. */
export const CONSTRAINT =
  /^(node\.(?:id|hostname|role|labels\.[A-Za-z0-9._-]+)|engine\.labels\.[A-Za-z0-9._-]+)\s*(==|!=)\s*([A-Za-z0-9._-]+)$/;

/** Whether a node satisfies a constraint, as a Swarm evaluates it. A missing label is empty. */
export function fits(constraint: string, place: PlaceFacts): boolean {
  const [, key = "", is, wanted = ""] = CONSTRAINT.exec(constraint) ?? [];
  const own: Readonly<Record<string, string>> = {
    "node.id": place.id,
    "node.hostname": place.node,
    "node.role": place.role,
  };
  const [, kind, label] = /^(node|engine)\.labels\.(.*)$/.exec(key) ?? [];
  const labels = kind === "node" ? place.labels : place.engineLabels;
  const found = label === undefined ? own[key] : labels[label];
  return ((found ?? "").toLowerCase() === wanted.toLowerCase()) === (is === "==");
}

/** The edge on a node that needs one. */
export interface EdgeFacts {
  /** Host name of the node. */
  readonly node: string;
  /** State in the Swarm; `missing` if the node has no edge. */
  readonly state: string;
  /** Why it does not run; empty if unknown. */
  readonly error: string;
}

/** Judges whether an edge runs on each node that needs one. */
export function edgesVerdict(edges: readonly EdgeFacts[]): Verdict | Break {
  const nodes = edges.map(({ node }) => node).sort();
  const of = {
    ...({ link: "served", service: EVERY_SERVICE, evidence: "the Swarm's tasks" } as const),
    expected: nodes.length === 0 ? "only the manager's edge" : `an edge on ${nodes.join(", ")} too`,
  };
  const wrong = edges.filter(({ state }) => state !== "running");
  if (wrong.length === 0) return { ...of, status: "proven", found: of.expected };
  return broken({
    ...of,
    wrong: `the edge on ${wrong.map(({ node }) => node).join(", ")} does not run`,
    found: wrong
      .map(({ node, state, error }) => `${state} on ${node}${error === "" ? "" : ` (${error})`}`)
      .join(", "),
    remedy: 'See "docker service ps" on the manager for the reason, then deploy again.',
  });
}
