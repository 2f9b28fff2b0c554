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
  /** Failures during this time do not count. */
  readonly startPeriod: string;
  readonly retries: number;
}

/** What a service of a release runs with, as a container on a single engine or as the tasks of a Swarm. */
export interface RunSpec {
  readonly service: ServiceConfig;
  /** Whether docker-init is process 1. */
  readonly init: pulumi.Input<boolean>;
  readonly image: pulumi.Input<string>;
  /** In place of the service's command: what waits for the times of a schedule. Absent without a schedule. */
  readonly command?: pulumi.Output<string[]>;
  /** `NAME=value`, secret if one of them is. */
  readonly envs: pulumi.Output<string[]>;
  /** Its host name in this release, which resolves to each of its containers. */
  readonly host: pulumi.Output<string>;
  /** Its names on the network, including the host name. */
  readonly aliases: pulumi.Output<string[]>;
  /** The search domains for plain names. */
  readonly search: pulumi.Output<string[]>;
  readonly network: pulumi.Input<string>;
  readonly healthcheck: pulumi.Output<HealthCheck | undefined>;
  readonly volumes: readonly MountedVolume[];
  readonly labels: Labels;
  /** Variable → the resource name of its secret on a Swarm. */
  readonly secretNames: Readonly<Record<string, string>>;
  readonly cluster?: ClusterPlace;
}

/** Where services run on a Swarm. */
export interface ClusterPlace {
  /**
   * The overlay network's ID. A name would show as a different network after each refresh, which replaces the service.
   */
  readonly networkId: pulumi.Input<string>;
  /** The manager's engine; absent in a preview. */
  readonly engine?: DockerEngine;
  /** The image that every node pulls, by digest in the registry. */
  readonly reference: pulumi.Input<string>;
  /** The provider that runs commands on the manager's machine. */
  readonly commands: command.Provider;
  /** The manager's machine, if it is a server; absent if it is this machine. */
  readonly server?: ServerAccess;
  /** With the login that the manager passes to the nodes. */
  readonly registry?: Registry;
}

/** A volume as a container mounts it. */
export interface MountedVolume {
  readonly volumeName: pulumi.Output<string>;
  readonly containerPath: string;
}
