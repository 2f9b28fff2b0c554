import { join } from "node:path";
import { isPackage } from "../freshness/package";
import { toolchainEnv } from "./env";
import { type Paths, paths } from "./paths";
import { installed } from "./providers";
import { isExecutable, tryRun } from "./run";
import { fileStamp, isWanted, readState, standInSources } from "./state";
import { baseImages, plugins } from "./versions";

/**
 * Whether the toolchain is ready. Takes milliseconds: checks the last setup's record, the files that it names and, for
 * an engine, one query that also detects a stopped engine or a removed base image.
 */
export async function isReady(options: { engine: boolean }, at: Paths = paths()): Promise<boolean> {
  const state = readState(at);
  if (!state || !isWanted(state, at)) return false;
  const files = [join(at.bin, "pulumi"), join(at.bin, "node"), state.pulumi.where, state.languageHost.where];
  if (!files.every(isExecutable)) return false;
  if (state.pulumi.stamp && state.pulumi.stamp !== fileStamp(state.pulumi.where)) return false;
  const env = toolchainEnv(process.env, at);
  const sources = standInSources(at);
  if (!plugins.every((plugin) => installed(env, plugin, sources))) return false;
  if (!options.engine) return true;
  const docker = join(at.bin, "docker");
  if (!state.docker || !isExecutable(docker)) return false;
  // The npm package brings no base images, and the deploy itself reports an engine that does not answer.
  if (isPackage) return true;
  const answer = await tryRun(docker, ["image", "inspect", "--format", "{{.Id}}", ...baseImages], {
    timeout: 10_000,
  });
  return answer.ok;
}
