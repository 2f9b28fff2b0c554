import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import { FreshnessError, isBroken } from "../../freshness/chain";
import type { Starts } from "../../freshness/container/initProgram";
import { SCHEDULE_FOLDER, scheduledCommand, shellVerdict } from "../../freshness/container/schedule";
import { fail } from "../../release/failure";
import { type Labels, labelList } from "../../release/labels";
import type { MountedVolume } from "./spec";

/** How a service with a schedule differs from one that runs all the time. */
interface Scheduled {
  readonly service: ServiceConfig;
  readonly command: pulumi.Output<string[]>;
  /** Names the release whose jobs run, and keeps the last run. All releases share it. */
  readonly volume: MountedVolume;
}

/** What runs a service with a schedule; undefined without one. */
export function scheduledRun(
  name: string,
  {
    service,
    release,
    starts,
    healthClient,
    labels,
  }: {
    readonly service: ServiceConfig;
    readonly release: pulumi.Input<string>;
    readonly starts: pulumi.Input<Starts | undefined>;
    /** What a health check can use in the image: `none` without a shell. */
    readonly healthClient: pulumi.Input<string>;
    readonly labels: Labels;
  },
  opts: pulumi.CustomResourceOptions,
): Scheduled | undefined {
  const { schedule } = service;
  if (schedule === undefined) return undefined;
  const { name: volumeName } = new docker.Volume(
    `${name}-schedule`,
    { labels: labelList({ ...labels, service: name }) },
    opts,
  );
  return {
    // The loop passes the signal on to the job. The image's own signal is for another program.
    service: {
      ...service,
      entrypoint: ["sh"],
      command: undefined,
      stopSignal: service.stopSignal ?? "SIGTERM",
    },
    command: pulumi.all([release, starts, healthClient]).apply(async ([id, image, client]) => {
      // A preview knows no image.
      const shell = shellVerdict(name, client !== "none" || pulumi.runtime.isDryRun());
      if (isBroken(shell)) return fail(new FreshnessError(shell));
      return scheduledCommand({ ...service, schedule }, id, image);
    }),
    volume: { volumeName, containerPath: SCHEDULE_FOLDER },
  };
}
