import { STACK_LABEL } from "../freshness/labels";
import { type SiteEdge, sitesNetwork } from "../freshness/served/front";
import type { DockerEngine } from "./docker";

/** Reads which containers have which names in the network of a front; none without such a network. */
export async function readSites(engine: DockerEngine, front: string): Promise<SiteEdge[]> {
  const network = sitesNetwork(front);
  const [containers, listed] = await Promise.all([
    engine.containersIn([network]).then((ids) => engine.inspectContainers(ids)),
    engine.listContainers([STACK_LABEL]),
  ]);
  return containers.map(({ id, name, networks }) => ({
    id,
    name,
    stack: listed.find((each) => each.id === id)?.labels[STACK_LABEL],
    names: networks.find((each) => each.name === network)?.names ?? [],
  }));
}
