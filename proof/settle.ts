import type { DockerEngine } from "../engine/docker";
import { assertUnbroken } from "../freshness/chain";
import type { Deployment } from "./deployment";
import { runtimeOf } from "./runtime";

/** How long new containers are watched, counted from when they were made. */
export interface SettleSeconds {
  /** Of every service; absent: by what else tells that it works. */
  readonly settleSeconds?: number;
}

/** A worker answers nobody: only that it keeps running tells that it works. */
const WORKER_SECONDS = 15;
/** A service with a port has answered its health check, and its version through the edge. */
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
 * Watches new containers while all else goes on: that they answer now and then does not tell that they keep running. It ends
 * when each is as old as it has to become; until then the first one that ends by itself breaks the link `container`.
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

  /** Watches, from the first time that this is asked for on; rejected with the FreshnessError of a container that ended by itself. */
  get done(): Promise<void> {
    if (this.watching === undefined) {
      this.watching = this.watch();
      // Whoever waits for it is told; until then other work may fail first.
      this.watching.catch(() => this.broken.abort());
    }
    return this.watching;
  }

  /** Does work that a broken container ends: its signal is aborted, and this is rejected with what broke. */
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
