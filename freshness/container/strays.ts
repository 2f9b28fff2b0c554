import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";
import { EDGE_SERVICE, OWNER_LABEL, RELEASE_COMMAND_LABEL, SERVICE_LABEL, STACK_LABEL } from "../labels";

/** A running part of a stack: a container of one engine, or a service of a Swarm. */
export interface Labelled {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Its host names. Each release has its own. */
  readonly names: readonly string[];
}

/** Parts of a stack that may run. */
export interface Expected {
  /** IDs of the parts of the served release, including the edge. */
  readonly known: readonly string[];
  /** Release that the edge routes to, if known. It serves, whatever the state says. */
  readonly led?: string;
}

/** Labels of containers of a deploy that belong to no release. */
const NO_RELEASE = [OWNER_LABEL, RELEASE_COMMAND_LABEL];

/**
 * Lists parts of a stack that run outside the served release. A rejected deploy left them, or someone started them by
 * hand.
 */
export function straysOf<T extends Labelled>(running: readonly T[], { known, led }: Expected): T[] {
  return running.filter(({ id, labels, names }) => {
    const service = labels[SERVICE_LABEL] ?? "";
    const isOfNoRelease =
      service === "" || service === EDGE_SERVICE || NO_RELEASE.some((label) => label in labels);
    const serves = known.includes(id) || (led !== undefined && names.includes(`${service}-${led}`));
    return !isOfNoRelease && !serves;
  });
}

/** A stray, as messages show it. */
export interface Stray {
  readonly name: string;
  readonly service: string;
  /** Command that stops it permanently. */
  readonly stop: string;
}

/**
 * Judges whether anything of a stack runs outside the served release. A worker of a rejected release would take jobs.
 * @param excuse why it may be correct, such as a deploy in progress
 */
export function straysVerdict(strays: readonly Stray[], excuse?: string): Verdict | Break {
  const expected = "only the served release of this stack runs";
  const evidence = `the engine's labels ${STACK_LABEL} and ${SERVICE_LABEL}`;
  const [first] = strays;
  if (first === undefined)
    return {
      link: "container",
      service: EVERY_SERVICE,
      status: "proven",
      expected,
      found: expected,
      evidence,
    };
  const found = strays.map(({ name }) => name).join(", ");
  if (excuse !== undefined)
    return {
      link: "container",
      service: EVERY_SERVICE,
      status: "not checked",
      expected,
      found: `${found} (${excuse})`,
      evidence,
    };
  return broken({
    link: "container",
    service: first.service,
    wrong: "a container or service of this stack does not belong to the served release",
    expected,
    found,
    evidence,
    remedy: `Stop it: ${strays.map(({ stop }) => stop).join("; ")}. The next deploy removes it.`,
  });
}
