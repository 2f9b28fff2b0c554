import type { DeployConfig } from "../config/types";
import { namesBehind } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import type { DockerEngine } from "../engine/docker";
import { withCode } from "../engine/errorCodes";
import { EngineError } from "../engine/problems";
import { readSites } from "../engine/sites";
import { until } from "../engine/until";
import { assertUnbroken } from "../freshness/chain";
import { commandLine, stackId } from "../freshness/project";
import { FRONT, frontVerdicts, siteAlias, sitesNetwork } from "../freshness/served/front";
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

/** How long Caddy has to read its configuration. */
const START_SECONDS = 20;

/**
 * Brings a front that somebody has stopped, paused or cut off back into service, and waits until Caddy has its configuration.
 *
 * @throws EngineError if the container is gone, or Caddy does not answer in it
 */
export async function keepFront(engine: DockerEngine, stack: string, id: string): Promise<void> {
  const [front] = await engine.inspectContainers([id]);
  if (front === undefined)
    throw new EngineError(
      withCode(
        "gone from the engine",
        `the container of front ${stack}; nothing was changed. Run "${commandLine(`up --stack ${stack} --refresh`)}", which makes it again.`,
      ),
    );
  const network = sitesNetwork(stack);
  const own = front.networks.find(({ name }) => name === network);
  if (own && !own.names.includes(FRONT)) await engine.docker(["network", "disconnect", network, id]);
  if (!own?.names.includes(FRONT)) await engine.docker(["network", "connect", "--alias", FRONT, network, id]);
  await engine.wake(front);
  const configuration = ["wget", "-q", "-O", "/dev/null", "http://localhost:2019/config/"];
  const answers = () => engine.docker(["exec", id, ...configuration]).then(() => true);
  const isUp = await until(
    Date.now() + START_SECONDS * 1000,
    () => answers().catch(() => false),
    (is) => is,
  );
  if (!isUp)
    throw new EngineError(
      `front ${stack} does not answer ${START_SECONDS} s after its start. See its log: docker logs ${front.name}`,
    );
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
