import { Agent, get } from "node:http";

/**
 * Does some work while addresses are asked all the time, and tells what went wrong with the requests.
 *
 * @returns `outage`: the seconds from the first failure to the last
 */
export async function underLoad<T>(
  urls: readonly string[],
  work: () => Promise<T>,
): Promise<{ result: T; requests: number; failures: readonly string[]; outage: number }> {
  const load = new Load(urls);
  try {
    const result = await work();
    const { requests, failures, outage } = load;
    return { result, requests, failures, outage };
  } finally {
    await load.stop();
  }
}

/** Asks an address all the time over a few keep-alive connections and keeps what went wrong. */
class Load {
  readonly failures: string[] = [];
  requests = 0;
  private failing: { since: number; until: number } | undefined;
  private stopped = false;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 4 });
  private readonly workers: Promise<void>[];

  constructor(urls: readonly string[]) {
    this.workers = urls.flatMap((url) => [0, 1].map(() => this.work(url)));
  }

  get outage(): number {
    return this.failing ? (this.failing.until - this.failing.since) / 1000 : 0;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.workers);
    this.agent.destroy();
  }

  private async work(url: string): Promise<void> {
    while (!this.stopped) {
      const asked = performance.now();
      const failure = await this.ask(url);
      this.requests += 1;
      if (failure) {
        this.failures.push(`${url}: ${failure}`);
        this.failing = { since: this.failing?.since ?? asked, until: performance.now() };
      }
      await new Promise((resume) => setTimeout(resume, 5));
    }
  }

  private ask(url: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const request = get(url, { agent: this.agent, timeout: 10_000 }, (response) => {
        response.resume();
        response.on("end", () =>
          resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`),
        );
        response.on("error", (error) => resolve(error.message));
      });
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", (error) => resolve(error.message));
    });
  }
}
