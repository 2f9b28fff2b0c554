import type { DockerEngine } from "../engine/docker";
import type { PageFacts } from "../freshness/browser";
import type { Deployment } from "./deployment";
import type { StackMemory } from "./stackMemory";

/** Service → its pages in a release. */
export type Pages = ReadonlyMap<string, readonly PageFacts[]>;

/** What the proofs of a deployed release ask, and how. */
export interface ToProve {
  readonly engine: DockerEngine;
  readonly deployment: Deployment;
  /** Ends a wait for answers early. */
  readonly signal?: AbortSignal;
  /** Whether the containers serve already: then they answer within seconds. */
  readonly serves?: boolean;
  /** Whether the edge may be new to this site, and has to fetch a certificate first. */
  readonly isNewSite?: boolean;
  /** The pages before the switch; absent without a switch. */
  readonly before?: Pages;
  /** What the stack remembers of itself; absent during a deploy, which settles that by itself. */
  readonly memory?: StackMemory;
}
