import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { STACK_LABEL } from "../freshness/labels";
import { stackId } from "../freshness/project";
import type { ServerAccess } from "../release/engineAccess";

export interface NetworkGuestsArgs {
  /** Networks of the stack, by name. */
  readonly networks: pulumi.Input<string>[];
  /** The name of the stack. */
  readonly stack: string;
  /** The server whose engine has the networks; absent for the local engine. */
  readonly server?: ServerAccess;
}

/**
 * Disconnects containers of other owners from the stack's networks before Pulumi removes the networks. The engine does
 * not remove a network that has containers.
 */
export class NetworkGuests extends pulumi.ComponentResource {
  constructor(name: string, args: NetworkGuestsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:NetworkGuests", name, {}, opts);
    const { networks, stack, server } = args;
    const run = { create: "true", delete: pulumi.all(networks).apply((all) => sendAway(all, stack)) };
    if (server) new command.remote.Command(name, { ...run, connection: server.connection }, { parent: this });
    else new command.local.Command(name, run, { parent: this });
    this.registerOutputs();
  }
}

/**
 * A container that has left meanwhile is not a failure. If a network stays in use, its removal fails and reports that.
 */
export function sendAway(networks: readonly string[], stack: string): string {
  const format = `{{.ID}} {{.Label "${STACK_LABEL}"}}`;
  return networks
    .map(
      (network) =>
        `docker container ls --filter network=${network} --format '${format}' | while read -r id label; do [ "$label" = ${stackId(stack)} ] || docker network disconnect --force ${network} "$id" || true; done`,
    )
    .join("; ");
}
