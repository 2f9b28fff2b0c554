import * as command from "@pulumi/command";
import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import { STOP_SECONDS } from "./options";
import type { ClusterPlace } from "./spec";

/**
 * Stops a service's tasks before the plugin removes the service. The plugin waits for the containers only as long as
 * they may take to stop. An app that uses all of that time fails the `up`, each later `up` and `destroy`. This is a
 * resource because Pulumi first removes what depends on the service, even if the program does not run.
 */
export function stopBeforeRemoval(
  service: Pick<ServiceConfig, "name" | "stopSeconds">,
  made: docker.Service,
  { server, commands }: ClusterPlace,
  { parent }: pulumi.ResourceOptions,
): void {
  const name = `${service.name}-stop`;
  const args = { delete: made.id.apply((id) => stopCommand(id, service.stopSeconds)), triggers: [made.id] };
  const opts = { parent, provider: commands, dependsOn: made, deleteBeforeReplace: false };
  if (server) new command.remote.Command(name, { ...args, connection: server.connection }, opts);
  else new command.local.Command(name, args, opts);
}

/** Stops the tasks of a service and waits until their containers are gone. A missing service is not a failure. */
export function stopCommand(id: string, stopSeconds = STOP_SECONDS): string {
  const tasks = `docker service ps --quiet ${id} 2> /dev/null`;
  const tries = 2 * (stopSeconds + 20);
  return [
    `docker service inspect ${id} > /dev/null 2>&1 || exit 0`,
    `docker service update --detach --quiet --replicas 0 ${id} > /dev/null || exit 1`,
    `tries=${tries}`,
    `while [ -n "$(${tasks})" ] && [ $tries -gt 0 ]; do sleep 0.5; tries=$((tries - 1)); done`,
  ].join("\n");
}
