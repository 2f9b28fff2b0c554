import type * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import type { DockerEngine } from "../../engine/docker";
import type { Registry } from "../../engine/registry";
import type { ServerAccess } from "../../release/engineAccess";
import type { Labels } from "../../release/labels";

/** Docker's own health check. */
export interface HealthCheck {
  readonly tests: string[];
  readonly interval: string;
  readonly timeout: string;
  /** Failures during it do not count. */
  readonly startPeriod: string;
  readonly retries: number;
}

/** What a service of a release runs with, whatever runs it: a container of one engine, or the tasks of a Swarm. */
export interface RunSpec {
  readonly service: ServiceConfig;
  /** Whether docker-init is process 1. */
  readonly init: pulumi.Input<boolean>;
  readonly image: pulumi.Input<string>;
  /** `NAME=value`, secret where one of them is. */
  readonly envs: pulumi.Output<string[]>;
  /** The release's host name of it, which leads to each of its containers. */
  readonly host: pulumi.Output<string>;
  /** Its names in the network, the host name among them. */
  readonly aliases: pulumi.Output<string[]>;
  /** The domains in which a plain name is looked up. */
  readonly search: pulumi.Output<string[]>;
  readonly network: pulumi.Input<string>;
  readonly healthcheck: pulumi.Output<HealthCheck | undefined>;
  readonly volumes: readonly MountedVolume[];
  readonly labels: Labels;
  /** Variable → the name of the resource of its secret on a Swarm. */
  readonly secretNames: Readonly<Record<string, string>>;
  readonly cluster?: ClusterPlace;
}

/** Where services run on a Swarm. */
export interface ClusterPlace {
  /** The overlay network's id: by name it is another network after each refresh, which replaces the service. */
  readonly networkId: pulumi.Input<string>;
  /** The manager's engine; absent in a preview. */
  readonly engine?: DockerEngine;
  /** What every node pulls: the image by digest in the registry. */
  readonly reference: pulumi.Input<string>;
  /** What runs commands on the manager's machine. */
  readonly commands: command.Provider;
  /** The manager's machine where it is a server; absent: this one. */
  readonly server?: ServerAccess;
  /** With the login that the manager hands to the nodes. */
  readonly registry?: Registry;
}

/** A volume as a container mounts it. */
export interface MountedVolume {
  readonly volumeName: pulumi.Output<string>;
  readonly containerPath: string;
}
