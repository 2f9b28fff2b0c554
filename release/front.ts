import * as pulumi from "@pulumi/pulumi";
import { problemsForUp } from "../config/problems";
import { ConfigError, type DeployConfig } from "../config/types";
import { namesBehind } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import type { DockerEngine } from "../engine/docker";
import { cliProcess, endWith } from "../engine/lifeline";
import { pluginOrigins } from "../engine/plugins";
import { readSites } from "../engine/sites";
import { makeWorkPrivate, sshFolder } from "../engine/workFolder";
import { assertUnbroken } from "../freshness/chain";
import { stackId } from "../freshness/project";
import { frontVerdicts, siteAlias, sitesNetwork } from "../freshness/served/front";
import type { Deployment } from "../proof/deployment";
import { namesAtFront } from "../proof/front";
import { connectEngine } from "./engineAccess";

/** Reaches the engine of a front, and works out what its components need. */
export async function prepareFront(config: DeployConfig) {
  const isPreview = pulumi.runtime.isDryRun();
  const stack = pulumi.getStack();
  const problems = isPreview ? [] : problemsForUp(config, pluginOrigins());
  if (problems.length > 0) throw new ConfigError(problems);
  await makeWorkPrivate(stack);
  const cli = await cliProcess();
  if (!isPreview) endWith(cli);
  const access = await connectEngine(config, sshFolder(stack), cli);
  const memoryMb = newEdgeMemoryMb(config, isPreview ? undefined : access.engine);
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
