import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import type { DockerEngine } from "../../engine/docker";
import { type OneOff, runOnce } from "../../engine/oneOff";
import { RELEASE_COMMAND_LABEL } from "../../freshness/labels";
import { CommandLog } from "../../release/commandLog";
import { fail } from "../../release/failure";
import { type Labels, labelList } from "../../release/labels";
import { DNS_OPTIONS } from "../../release/releaseNames";

/** Runs a service's release command if it has one and the release is new. */
export async function runReleaseCommand(
  {
    service,
    labels,
    releaseOn,
    accessorySecrets = [],
  }: {
    readonly service: ServiceConfig;
    readonly labels: Labels;
    readonly releaseOn?: DockerEngine;
    readonly accessorySecrets?: readonly string[];
  },
  of: Pick<OneOff, "image" | "env" | "network"> & {
    search: readonly string[];
    mounted: readonly { volumeName: string; containerPath: string }[];
  },
): Promise<void> {
  const { name, releaseCommand: command, memoryMb, capabilities } = service;
  if (command === undefined || releaseOn === undefined) return;
  const { image, env, network, mounted } = of;
  const started = performance.now();
  const log = new CommandLog(name);
  try {
    const oneOff = {
      image,
      command,
      env,
      network,
      memoryMb,
      capabilities,
      options: service,
      dns: { search: of.search, options: DNS_OPTIONS },
      secrets: [...Object.values(service.secretEnv), ...accessorySecrets],
      volumes: Object.fromEntries(
        mounted.map(({ volumeName, containerPath }) => [volumeName, containerPath]),
      ),
      labels: {
        ...Object.fromEntries(
          labelList({ ...labels, service: `${name}-release` }).map(({ label, value }) => [label, value]),
        ),
        [RELEASE_COMMAND_LABEL]: name,
      },
    };
    await runOnce(releaseOn, oneOff, log.say).finally(() => log.flush());
  } catch (cause) {
    return fail(new Error(`releaseCommand of ${name}: ${(cause as Error).message}`));
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  await pulumi.log.info(`releaseCommand of ${name}: done in ${seconds} s`);
}
