import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ServerAccess } from "../release/engineAccess";

export interface NetworkGuestsArgs {
  /** Networks of the stack, by name. */
  readonly networks: pulumi.Input<string>[];
  readonly stack: string;
  /** The server whose engine has the networks; absent: the local engine. */
  readonly server?: ServerAccess;
}

/**
 * Takes containers that are not the stack's out of its networks before Pulumi removes these: the engine removes no network that
 * a container is in.
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

/** One that has gone by itself meanwhile is no failure; a network that stays in use is told by its own removal. */
export function sendAway(networks: readonly string[], stack: string): string {
  const format = '{{.ID}} {{.Label "watch-party.stack"}}';
  return networks
    .map(
      (network) =>
        `docker container ls --filter network=${network} --format '${format}' | while read -r id label; do [ "$label" = ${stack} ] || docker network disconnect --force ${network} "$id" || true; done`,
    )
    .join("; ");
}
