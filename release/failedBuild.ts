import * as pulumi from "@pulumi/pulumi";
import { buildFailed, buildLog } from "../engine/buildLog";
import type { DockerEngine } from "../engine/docker";

/**
 * What is run when a docker.Image fails: the plugin says that a step failed, and nothing of what the step printed.
 *
 * @param engine the one that builds
 * @returns undefined where the language host is too old for hooks; `npm run up` then has the log from the CLI's events
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
  // The SDK keeps this to itself: a resource with a hook that could not be registered would fail.
  const { __registered: registering } = hook as unknown as { readonly __registered: Promise<void> };
  return registering.then(
    () => hook,
    () => undefined,
  );
}
