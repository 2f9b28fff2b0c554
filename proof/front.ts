import { readSites } from "../engine/sites";
import type { Verdict } from "../freshness/chain";
import { frontVerdicts } from "../freshness/served/front";
import { namesOf } from "../freshness/served/places";
import type { Deployment } from "./deployment";
import type { ToProve } from "./toProve";

/** All names at which a deployment answers, without ports. */
export function namesAtFront({ url, otherNames, services }: Deployment): string[] {
  return namesOf(
    { url, otherNames },
    services.flatMap(({ service }) => service.hosts ?? []),
  );
}

/** Proves that the front leads all names of the stack to its edge, and to no other. */
export async function proveFront({ engine, deployment }: ToProve): Promise<Verdict[]> {
  const { behind: front, edge } = deployment;
  if (front === undefined) return [];
  const found = await readSites(engine, front);
  const own = found.find(({ id }) => id === edge)?.name ?? `edge ${edge.slice(0, 12)}`;
  const isOwn = ({ id }: { readonly id: string }) => id === edge;
  return frontVerdicts({ front, names: namesAtFront(deployment), own, isOwn, isServing: true }, found);
}
