import { createServer } from "node:net";
import type { DeployConfig } from "../config/types";
import { assertExtra } from "../edge/extra";
import { siteOf } from "../edge/site";
import type { DockerEngine } from "../engine/docker";
import { serviceLabel, stackLabel } from "../engine/inventory";
import { EngineError } from "../engine/problems";
import { NAMESPACE } from "../freshness/project";

/** Minimum disk space for building a release, in bytes, if no earlier release needed more. */
const SMALLEST_RELEASE = 512 * 1024 ** 2;

export interface Preflight {
  readonly engine: DockerEngine;
  readonly config: DeployConfig;
  /** The stack whose edge may use the port. */
  readonly stack: string;
}

/** @throws EngineError if the engine does not answer, another program uses the port, or Caddy refuses `extra` */
export async function preflight({ engine, config, stack }: Preflight): Promise<void> {
  const port =
    config.server || config.domain || config.behind
      ? undefined
      : assertPortFree(engine, config.listen, stack).catch(asIs);
  // Report an engine that does not answer before a port in use.
  await engine.assertReachable();
  const problem = await port;
  if (problem) throw problem;
  const { extra, services } = config;
  if (extra !== undefined) await assertExtra(engine, services, { ...siteOf(config), extra });
}

function asIs(problem: Error): Error {
  return problem;
}

/**
 * Checks the free disk space. A build needs space for the images, and the same amount again for the build cache
 * meanwhile.
 * @param lastImages the images of the last release
 * @returns free bytes where the engine keeps its images; undefined if the engine cannot report them
 * @throws EngineError if there is too little
 */
export async function assertDisk(
  engine: DockerEngine,
  lastImages: readonly string[],
): Promise<number | undefined> {
  const [free, sizes] = await Promise.all([engine.freeBytes(), engine.imageSizes(lastImages)]);
  const needed = Math.max(SMALLEST_RELEASE, 2 * sizes.reduce((sum, size) => sum + size, 0));
  if (free === undefined || free >= needed) return free;
  throw new EngineError(
    `too little disk for one more release: ${mebibytes(free)} free where the engine keeps its images, ${mebibytes(needed)} needed; ` +
      `lower ${NAMESPACE}:keepReleases, or make room with "docker system prune"`,
  );
}

/** The port may be in use by this stack: a container of its edge publishes it then. */
async function assertPortFree(
  engine: DockerEngine,
  listen: DeployConfig["listen"],
  stack: string,
): Promise<void> {
  if (await canListen(listen)) return;
  const labels = [serviceLabel("edge"), stackLabel(stack)];
  const ours = await engine.listContainers(labels, { publish: listen.port });
  if (ours.length > 0) return;
  throw new EngineError(
    `port ${listen.port} of ${listen.address} is taken by another program; stop it ("ss -ltnp sport = :${listen.port}" names it), or set ${NAMESPACE}:listen to another address:port`,
  );
}

/** Whether the address is free to listen on. The engine checks an address that is not this machine's. */
export function canListen({ address, port }: DeployConfig["listen"]): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "EADDRINUSE"));
    server.listen({ host: address.replace(/^\[|\]$/g, ""), port, exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}
