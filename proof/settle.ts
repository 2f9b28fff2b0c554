import type { DockerEngine } from "../engine/docker";
import { assertUnbroken } from "../freshness/chain";
import type { Deployment } from "./deployment";
import { runtimeOf } from "./runtime";

/** How long to watch new containers, counted from their creation. */
export interface SettleSeconds {
  /** For every service; absent: a default by the kind of service. */
  readonly settleSeconds?: number;
}

/** A worker answers no requests: only its uptime shows that it works. */
const WORKER_SECONDS = 15;
/** A service with a port has already passed its health check and its version check. */
const PORT_SECONDS = 5;
const POLL_MS = 1_000;

/** How long a service's new container is watched, in seconds. */
export function settleSecondsOf(
  { port }: { readonly port?: number },
  { settleSeconds }: SettleSeconds,
): number {
  return settleSeconds ?? (port === undefined ? WORKER_SECONDS : PORT_SECONDS);
}

/**
 * Watches new containers during the deploy: answers alone do not show that they keep running. Ends when each container
 * is old enough; until then the first one that exits breaks the link `container`.
 */
export class Settling {
  private readonly over = new AbortController();
  private readonly broken = new AbortController();
  private watching: Promise<void> | undefined;

  constructor(
    private readonly engine: DockerEngine,
    private readonly deployment: Deployment,
    private readonly seconds: SettleSeconds,
  ) {}

  /** Starts the watch at the first access. Rejects with the FreshnessError of a container that exited. */
  get done(): Promise<void> {
    if (this.watching === undefined) {
      this.watching = this.watch();
      // Callers that wait get the error; other work may fail first.
      this.watching.catch(() => this.broken.abort());
    }
    return this.watching;
  }

  /** Runs work that a broken container ends: aborts its signal and rejects with the FreshnessError. */
  beside<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const breaks = this.done.then(() => new Promise<never>(() => undefined));
    return Promise.race([work(this.broken.signal), breaks]);
  }

  /** Ends the watch. */
  end(): void {
    this.over.abort();
  }

  private async watch(): Promise<void> {
    const { engine, deployment, seconds } = this;
    const runtime = runtimeOf(deployment);
    const began = performance.now();
    const ages = await runtime.ages(engine, deployment);
    const left = deployment.services.map(
      ({ service }, at) => settleSecondsOf(service, seconds) * 1000 - (ages[at] ?? 0),
    );
    const longest = Math.max(0, ...left);
    for (;;) {
      assertUnbroken(await runtime.ended(engine, deployment));
      const rest = began + longest - performance.now();
      if (rest <= 0 || this.over.signal.aborted) return;
      await pause(Math.min(POLL_MS, rest), this.over.signal);
    }
  }
}

/** Waits, unless the signal is aborted. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resume) => {
    const timer = setTimeout(resume, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resume();
    });
  });
}
