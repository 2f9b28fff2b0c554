import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import type { Starts } from "../../freshness/container/initProgram";
import { SCHEDULE_FOLDER, scheduledCommand } from "../../freshness/container/schedule";
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
    labels,
  }: {
    readonly service: ServiceConfig;
    readonly release: pulumi.Input<string>;
    readonly starts: pulumi.Input<Starts | undefined>;
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
    command: pulumi
      .all([release, starts])
      .apply(([id, image]) => scheduledCommand({ ...service, schedule }, id, image)),
    volume: { volumeName, containerPath: SCHEDULE_FOLDER },
  };
}
