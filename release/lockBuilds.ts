import * as pulumi from "@pulumi/pulumi";
import { type BuildLock, takeBuildLock } from "../engine/buildLock";
import type { DockerEngine } from "../engine/docker";

/** Waits for the build lock of the engine. */
export async function lockBuilds(engine: DockerEngine, stack: string): Promise<BuildLock> {
  await engine.assertReachable();
  return takeBuildLock(engine, { stack, say: pulumi.log.info, warn: pulumi.log.warn });
}
