import { createServer } from "node:net";
import type { DeployConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { EngineError } from "../engine/problems";

/** A release takes at least this much while it is built, in bytes, where no earlier one tells more. */
const SMALLEST_RELEASE = 512 * 1024 ** 2;

/** Asks the engine before anything is changed. */
export interface Preflight {
  readonly engine: DockerEngine;
  readonly config: DeployConfig;
  /** Whose edge may hold the port. */
  readonly stack: string;
}

/** @throws EngineError where the engine does not answer, or the port is somebody else's */
export async function preflight({ engine, config, stack }: Preflight): Promise<void> {
  const port =
    config.server || config.domain ? undefined : assertPortFree(engine, config.listen, stack).catch(asIs);
  // An engine that does not answer is told before a port.
  await engine.assertReachable();
  const problem = await port;
  if (problem) throw problem;
}

function asIs(problem: Error): Error {
  return problem;
}

/**
 * A release being built needs room for its images and, for as long, the same again in the build cache.
 *
 * @param lastImages the images of the last release
 * @returns free bytes where the engine keeps its images, undefined where that cannot be seen
 * @throws EngineError where there is too little
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
      'lower watch-party:keepReleases, or make room with "docker system prune"',
  );
}

/** The port may be ours: then a container of this stack's edge publishes it. */
async function assertPortFree(
  engine: DockerEngine,
  listen: DeployConfig["listen"],
  stack: string,
): Promise<void> {
  if (await canListen(listen)) return;
  const labels = ["watch-party.service=edge", `watch-party.stack=${stack}`];
  const ours = await engine.listContainers(labels, { publish: listen.port });
  if (ours.length > 0) return;
  throw new EngineError(
    `port ${listen.port} of ${listen.address} is taken by another program; stop it ("ss -ltnp sport = :${listen.port}" names it), or set watch-party:listen to another address:port`,
  );
}

/** Whether an address can be listened on; an address that is not this machine's is left to the engine. */
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
