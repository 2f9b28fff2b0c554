import * as pulumi from "@pulumi/pulumi";
import { buildLog } from "../engine/buildLog";
import type { DockerEngine } from "../engine/docker";

/**
 * What is run when a docker.Image fails: the plugin says that a step failed, and nothing of what the step printed.
 *
 * @param engine the one that builds
 */
export function tellBuildLog(engine: DockerEngine): pulumi.ErrorHook {
  return new pulumi.ErrorHook("build-log", async ({ name, newInputs }) => {
    const build = newInputs?.build;
    if (typeof build?.context !== "string" || typeof build.dockerfile !== "string") return false;
    const { context, dockerfile, platform, target, args = {} } = build;
    const log = await buildLog(engine, { context, dockerfile, platform, target, args }).catch(
      (cause: Error) => `its log could not be read: ${cause.message}`,
    );
    await pulumi.log.error(`the build of ${name} failed:\n${log}`);
    return false;
  });
}
