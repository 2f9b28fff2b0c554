import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import {
  parsePrunedAt,
  parseReclaimed,
  pruneCommand,
  pruneWarning,
  type ReclaimedSpace,
} from "../engine/prune";

export interface BuildCachePruneArgs {
  /** `prune` removes what no image uses; `purge` removes all of it. Default: `prune`. */
  readonly scope?: "prune" | "purge";
  /**
   * The tag of this deploy's images. If an image with this tag exists, its layers are purged too: otherwise the build
   * would reuse them. Usually the commit.
   */
  readonly tag: string;
  /** All inputs of an image build. A change to any of them prunes again. */
  readonly triggers: pulumi.Input<string>[];
  /** The server whose engine builds; absent for the local engine. */
  readonly server?: { readonly connection: command.types.input.remote.ConnectionArgs };
  /** Starts to watch the server, and returns a function that ends the watch; absent if nothing is pruned. */
  readonly watch?: () => () => void;
  /** Awaited before the prune. */
  readonly lock?: Promise<unknown>;
}

/** Prunes the build cache of the engine that builds. Images depend on it. A failed prune fails the deploy. */
export class BuildCachePrune extends pulumi.ComponentResource {
  /** Space that the last prune reclaimed. */
  readonly reclaimed: pulumi.Output<ReclaimedSpace>;
  /** When the last prune ended, by the engine's clock, ISO 8601. */
  readonly prunedAt: pulumi.Output<string>;

  constructor(name: string, args: BuildCachePruneArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:BuildCachePrune", name, {}, opts);
    const { triggers, server, lock } = args;
    const ends = server && args.watch?.();
    const pruning = pruneCommand(args.scope ?? "prune", args.tag);
    const create: pulumi.Input<string> = lock === undefined ? pruning : lock.then(() => pruning);
    const prune = server
      ? new command.remote.Command(
          name,
          { create, triggers, connection: server.connection },
          { parent: this },
        )
      : new command.local.Command(name, { create, triggers }, { parent: this });
    this.reclaimed = prune.stdout.apply(async (stdout) => {
      ends?.();
      const warning = pruneWarning(stdout);
      if (warning) await pulumi.log.warn(warning, this);
      return parseReclaimed(stdout);
    });
    this.prunedAt = prune.stdout.apply(parsePrunedAt);
    this.registerOutputs({ reclaimed: this.reclaimed, prunedAt: this.prunedAt });
  }
}
