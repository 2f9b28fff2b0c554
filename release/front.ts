import type { DeployConfig } from "../config/types";
import { namesBehind } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import type { DockerEngine } from "../engine/docker";
import { readSites } from "../engine/sites";
import { assertUnbroken } from "../freshness/chain";
import { stackId } from "../freshness/project";
import { frontVerdicts, siteAlias, sitesNetwork } from "../freshness/served/front";
import type { Deployment } from "../proof/deployment";
import { namesAtFront } from "../proof/front";
import { begin, connectEngine, logInPlugin } from "./engineAccess";

/** Reaches the engine of a front, and works out what its components need. */
export async function prepareFront(config: DeployConfig) {
  const begun = await begin(config);
  const { preview, stack } = begun;
  const access = await connectEngine(config, begun);
  if (!preview) logInPlugin(config, begun);
  const memoryMb = newEdgeMemoryMb(config, preview ? undefined : access.engine);
  return { access, labels: { stack }, memoryMb };
}

/** The names that the edge of a stack has in the network of its front; undefined without one. */
export function placeBehind(config: DeployConfig) {
  const { behind } = config;
  if (behind === undefined) return undefined;
  return { network: sitesNetwork(behind), aliases: namesBehind(config).map(siteAlias) };
}

/**
 * Checks the names of a stack behind a front before anything changes, and connects its running edge with a front that was destroyed and
 * deployed again.
 *
 * @throws FreshnessError if the front does not run, or a container of another stack answers for one of the names
 */
export async function joinFront(
  engine: DockerEngine,
  config: DeployConfig,
  stack: string,
  last: Deployment | undefined,
): Promise<void> {
  const { behind: front } = config;
  if (front === undefined) return;
  const found = await readSites(engine, front);
  const own = `stack ${stackId(stack)}`;
  const isOwn = (each: { readonly stack?: string }) => each.stack === stackId(stack);
  assertUnbroken(frontVerdicts({ front, names: namesBehind(config), own, isOwn, isServing: false }, found));
  if (last?.behind !== front) return;
  const names = namesAtFront(last).map(siteAlias);
  const joined = found.find(({ id }) => id === last.edge);
  if (joined && names.every((name) => joined.names.includes(name))) return;
  const network = sitesNetwork(front);
  const [edge] = await engine.inspectContainers([last.edge]);
  if (edge === undefined) return;
  if (joined) await engine.docker(["network", "disconnect", network, edge.id]);
  const aliases = names.flatMap((name) => ["--alias", name]);
  await engine.docker(["network", "connect", ...aliases, network, edge.id]);
}
