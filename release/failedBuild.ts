import * as pulumi from "@pulumi/pulumi";
import { buildFailed, buildLog } from "../engine/buildLog";
import type { DockerEngine } from "../engine/docker";

/**
 * Returns the hook that runs when a docker.Image fails. The plugin reports only that a step failed, without the step's
 * output.
 * @param engine the one that builds
 * @returns undefined if the language host is too old for hooks; `npm run up` then reads the log from the CLI's events
 */
export async function tellBuildLog(engine: DockerEngine): Promise<pulumi.ErrorHook | undefined> {
  const hook = new pulumi.ErrorHook("build-log", async ({ name, newInputs }) => {
    const build = newInputs?.build;
    if (typeof build?.context !== "string" || typeof build.dockerfile !== "string") return false;
    const { context, dockerfile, platform, target, args = {} } = build;
    const log = await buildLog(engine, { context, dockerfile, platform, target, args }).catch(
      (cause: Error) => `its log could not be read: ${cause.message}`,
    );
    await pulumi.log.error(`${buildFailed(name)}\n${log}`);
    return false;
  });
  // Private in the SDK. A resource fails if its hook could not be registered.
  const { __registered: registering } = hook as unknown as { readonly __registered: Promise<void> };
  return registering.then(
    () => hook,
    () => undefined,
  );
}
