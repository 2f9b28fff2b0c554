import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";
import { commandLine } from "../project";

/** Label of the Caddy that shares its ports among stacks, and its name in the network of the edges. */
export const FRONT = "front";

/** The network of a front and the edges behind it, by the name of the front's stack. */
export function sitesNetwork(front: string): string {
  return `watch-party-sites-${front}`;
}

/**
 * The name at which a front finds the edge of a site, in the network that both are in. No name server outside of Docker has a name
 * that ends in `.internal`.
 *
 * @param host the name in a request
 */
export function siteAlias(host: string): string {
  return `${host}.sites.internal`;
}

/** A container in the network of a front. */
export interface SiteEdge {
  readonly id: string;
  readonly name: string;
  /** The value of its stack's label; absent for a container of no stack. */
  readonly stack?: string;
  /** Its names in the network. */
  readonly names: readonly string[];
}

/** What is to answer behind a front. */
interface BehindFront {
  /** The front's stack. */
  readonly front: string;
  /** The stack's names, without ports. */
  readonly names: readonly string[];
  /** The edge that answers, in words. */
  readonly own: string;
  readonly isOwn: (edge: SiteEdge) => boolean;
  /** Whether the edge has its names already; before a first deploy it has none. */
  readonly isServing: boolean;
}

/**
 * Judges where a front sends the requests for a stack's names: to its edge alone. A name of two containers leads to either.
 *
 * @param found all running containers in the network of the front
 */
export function frontVerdicts(
  { front, names, own, isOwn, isServing }: BehindFront,
  found: readonly SiteEdge[],
): (Verdict | Break)[] {
  const network = sitesNetwork(front);
  const of = {
    link: "served",
    service: EVERY_SERVICE,
    expected: `${own} alone behind front ${front}`,
    evidence: `network ${network}`,
  } as const;
  if (!found.some((each) => each.names.includes(FRONT)))
    return [
      broken({
        ...of,
        wrong: `front ${front} does not run`,
        found: `no front in network ${network}`,
        remedy: `Deploy it with "${commandLine(`up --stack ${front}`)}", then deploy again.`,
      }),
    ];
  const wrong = names.flatMap((name) => {
    const answering = found.filter((each) => each.names.includes(siteAlias(name)));
    const other = answering.find((each) => !isOwn(each));
    if (other)
      return broken({
        ...of,
        wrong: `another container answers for ${name}`,
        found: `${other.name} of ${other.stack === undefined ? "no stack" : `stack ${other.stack}`}`,
        remedy: `Choose another name, or free it: destroy that stack, or run "docker network disconnect --force ${network} ${other.name}".`,
      });
    if (answering.length > 0 || !isServing) return [];
    return broken({
      ...of,
      wrong: `front ${front} finds no edge for ${name}`,
      found: `no container at ${siteAlias(name)}`,
      remedy: `Deploy again with "${commandLine("up")}": it connects the edge with the front.`,
    });
  });
  if (wrong.length > 0 || !isServing) return wrong;
  return [{ ...of, status: "proven", found: `${own} alone at ${names.join(", ")}` }];
}
