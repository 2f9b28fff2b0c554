import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config/types";
import { VOLUME_LABEL } from "../freshness/labels";
import { type Labels, labelList } from "../release/labels";
import type { VolumeRecord } from "../release/record";
import type { PlannedVolume, ServiceVolume, VolumePlan } from "../release/volumePlan";
import type { MountedVolume } from "./run/spec";

/** The volumes of a stack. */
export interface StackVolumes {
  /** By ID, for the next deploy. */
  readonly record: pulumi.Output<Record<string, VolumeRecord>>;
  mounts(service: Pick<ServiceConfig, "name" | "volumes">): MountedVolume[];
}

/**
 * Declares a stack's volumes. Pulumi creates them and never deletes one, even if its resource is removed. An existing
 * volume stays unchanged.
 */
export function stackVolumes(
  { volumes, used }: VolumePlan,
  labels: Labels,
  opts: pulumi.CustomResourceOptions,
): StackVolumes {
  const made = new Map(volumes.map((volume) => [volume.id, declare(volume, labels, opts)]));
  const all = volumes.map(({ id, resource }) =>
    pulumi.output(made.get(id)).apply((name = ""): [string, VolumeRecord] => [id, { name, resource }]),
  );
  return {
    record: pulumi.all(all).apply((pairs) => Object.fromEntries(pairs)),
    mounts: ({ name: service, volumes: own }) =>
      Object.entries(own).flatMap(([volume, containerPath]) => {
        const volumeName = made.get(used[service]?.[volume] ?? volume);
        return volumeName ? [{ volumeName, containerPath }] : [];
      }),
  };
}

function declare(
  { id, resource, name, was }: PlannedVolume,
  labels: Labels,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  return new docker.Volume(
    resource,
    {
      name,
      labels: [...labelList(labels), { label: VOLUME_LABEL, value: id }],
    },
    {
      ...opts,
      retainOnDelete: true,
      // A volume cannot be renamed or labelled. A difference would replace it.
      ignoreChanges: ["name", "labels"],
      aliases: was ? [earlierUrn(was)] : [],
    },
  ).name;
}

/** The URN of the volume's resource in earlier versions of the program, as a child of the service. */
function earlierUrn({ service, volume }: ServiceVolume): pulumi.Output<string> {
  const parent = pulumi.createUrn(service, "watch-party:index:WebService");
  return pulumi.createUrn(`${service}-${volume}`, "docker:index/volume:Volume", parent);
}
