import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";

/** Something that runs of a stack: a container of one engine, or a service of a Swarm. */
export interface Labelled {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Its host names; each release has its own. */
  readonly names: readonly string[];
}

/** What may run of a stack. */
export interface Expected {
  /** Ids of what the served release consists of, the edge among them. */
  readonly known: readonly string[];
  /** The release that the edge leads to, where that is known: it serves, whatever the state says. */
  readonly led?: string;
}

const SERVICE = "watch-party.service";
/** Containers that work for the deploy and are of no release: one-off commands of a service, and what has an owner. */
const NO_RELEASE = /-release$/;
const OWNER = "watch-party.owner";
/** What stands before the releases. */
const EDGE = "edge";

/** Lists what runs of a stack outside the served release: left by a refused deploy, or started by hand. */
export function straysOf<T extends Labelled>(running: readonly T[], { known, led }: Expected): T[] {
  return running.filter(({ id, labels, names }) => {
    const service = labels[SERVICE] ?? "";
    const isOfNoRelease = service === "" || NO_RELEASE.test(service) || service === EDGE || OWNER in labels;
    const serves = known.includes(id) || (led !== undefined && names.includes(`${service}-${led}`));
    return !isOfNoRelease && !serves;
  });
}

/** A stray, as a message names it. */
export interface Stray {
  readonly name: string;
  readonly service: string;
  /** What stops it for good. */
  readonly stop: string;
}

/**
 * Judges whether anything of a stack runs outside the served release: a refused release's worker would take jobs.
 *
 * @param excuse why it may be correct, such as a deploy under way
 */
export function straysVerdict(strays: readonly Stray[], excuse?: string): Verdict | Break {
  const expected = "only the served release of this stack runs";
  const evidence = "the engine's labels watch-party.stack and watch-party.service";
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
