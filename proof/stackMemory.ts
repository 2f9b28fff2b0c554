import type { DeployConfig } from "../config/types";
import type { Registry } from "../engine/registry";
import type { Deployment } from "./deployment";

/** What `verify` knows of a stack besides its deployment. */
export interface StackMemory {
  /** The stack's name, as on the command line. */
  readonly stack: string;
  /** The stack's name, as in labels. */
  readonly name: string;
  readonly config: Pick<DeployConfig, "services" | "drainSeconds" | "settleSeconds">;
  readonly releases: readonly KeptRelease[];
  readonly registry?: Registry;
  /** Reads the deployment once more: a deploy may have ended meanwhile. */
  readonly deploymentNow: () => Promise<Deployment>;
  /** Whether a deploy is under way; undefined if that is unknown. */
  readonly isUnderWay: () => boolean | undefined;
}

/** A release that a rollback can choose. */
export interface KeptRelease {
  readonly commit: string;
  readonly build: { readonly id: string };
  /** Service → its image. */
  readonly images: Readonly<Record<string, { readonly digest: string; readonly pushed?: string }>>;
}
