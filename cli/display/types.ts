import type { EngineEvent } from "@pulumi/pulumi/automation";
import type { Verdict } from "../../freshness/chain";

/** Shows a deploy while it runs, and what it proved. */
export interface Display {
  /** Shows an event of the Pulumi CLI. */
  hear(event: EngineEvent): void;
  /** Ends the steps. Other output may follow. */
  close(good: boolean): void;
  /** Shows the chain, the changes, the seconds and the address. */
  conclude(deployed: Deployed): void;
}

/** Result of a successful deploy. */
export interface Deployed {
  readonly links: readonly Verdict[];
  readonly commit: string;
  readonly url: string;
  /** Seconds of each step of the program. */
  readonly seconds: Readonly<Record<string, number>>;
  /** Seconds until the new release served; absent if nothing new was served. */
  readonly served?: number;
  readonly total: number;
}
